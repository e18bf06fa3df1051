"""The advice as settings of other trainers, under their names and with their meaning.

The threshold means three things. In transformers, and whatever is built on it, a gain has to
exceed it against the best loss so far, and the best moves on any gain: smaller gains never add
up. In Lightning and Keras (`min_delta`) only a gain above it moves the reference, so they do. The
rule that the advice rehearsed is that of transformers; with the same numbers the other one never
stops earlier, since a gain that counts in transformers counts there too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.config import layouts, snippets
from ftadvise.config.values import written
from ftadvise.config.why import ADDS_UP, NEVER_ADDS_UP, Why, why
from ftadvise.errors import UsageError
from ftadvise.reports.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.advice import Advice
    from ftadvise.config.layouts import Layout


_WIDTH = 90


def export(advice: Advice, tool: str) -> str:
    """Return the recommendation of `advice` as a snippet to paste into the set-up of a tool.

    Args:
        advice: The advice.
        tool: One of `TOOLS`.

    Returns:
        YAML for ftadvise, Axolotl and LLaMA-Factory; Python for the others. No line end behind it.

    Raises:
        UsageError: FT411 if there is no such tool.
    """
    if tool not in _EXPORTS:
        raise UsageError(f"no export is called {tool!r}", hint=f"There are {', '.join(TOOLS)}.")
    return _EXPORTS[tool](advice)


def _yaml(tool: str) -> Callable[[Advice], str]:
    def snippet(advice: Advice) -> str:
        found = layouts.layout(tool, advice.recommendation)
        reasons = why(advice)
        head = [f"# {reasons.head}"]
        for note in found.notes:
            head += wrap(note, _WIDTH, "# ", "# ")
        return "\n".join([*head, *_lines(found, _by_name(reasons, tool))])

    return snippet


def _lines(found: Layout, comments: dict[str, str]) -> list[str]:
    lines = [f"{found.section}:"] if found.section else []
    indent = "  " if found.section else ""
    for setting in found.settings:
        if setting.add:
            name = setting.names[0]
            comment = f"  # {comments[name]}" if name in comments else ""
            lines.append(f"{indent}{name}: {written(setting.value)}{comment}")
    return lines


def _by_name(reasons: Why, tool: str) -> dict[str, str]:
    return {
        "num_train_epochs": reasons.epochs,
        "num_epochs": reasons.epochs,
        "eval_steps": reasons.every,
        "save_steps": reasons.save,
        "save_total_limit": reasons.keep,
        "load_best_model_at_end": reasons.best,
        "early_stopping_patience": reasons.patience,
        "early_stopping_steps": reasons.patience,
        "early_stopping_threshold": ADDS_UP if tool == "ftadvise" else NEVER_ADDS_UP,
    }


_EXPORTS: dict[str, Callable[[Advice], str]] = {
    "ftadvise": _yaml("ftadvise"),
    "hf": snippets.transformers,
    "trl": snippets.trl,
    "axolotl": _yaml("axolotl"),
    "llama-factory": _yaml("llama-factory"),
    "lightning": snippets.lightning,
    "keras": snippets.keras,
}
TOOLS = tuple(_EXPORTS)
"""Tools that the advice can be exported to."""
