"""The report as a Markdown document, to keep beside the run or to send to somebody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.numbers import chance, percent, short
from ftadvise.reports import words
from ftadvise.reports.configuration import training_block
from ftadvise.reports.progression import progression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice

_SPECIAL = re.compile(r"([\\`*\[\]|~#@])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def report(advice: Advice) -> str:
    """Return the whole document."""
    parts = [
        f"# Training advice: {escape(words.title(advice))}",
        escape(words.contents(advice)) + ".",
        summary(advice),
        "## Loss progression",
        _progression(advice),
        "## Key findings",
        _key_findings(advice),
        "## Strategy",
        _bullets(advice.reasons),
        "## Configuration",
        "\n".join(["```yaml", *training_block(advice.recommendation), "```"]),
        "## Expected flow",
        _scenarios(advice),
        "## How sure is this",
        _how_sure(advice),
        "## Findings",
        _findings(advice),
    ]
    return "\n\n".join(parts)


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, no table cells of its own."""
    plain = words.said(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda found: "\\" + found[0], plain)


def summary(advice: Advice, keep: str | None = None) -> str:
    """Return the answer as a table; `keep` in place of what this run alone would keep."""
    rows = [
        ("Next run", words.epochs(advice)),
        ("Evaluation", words.cadence(advice)),
        ("Early stopping", words.stopping(advice)),
        ("Expected", f"{words.expected(advice)}; {words.false_stop(advice)}"),
        ("Or keep", keep or words.keeping(advice)),
        ("Overfitting", words.overfitting(advice)),
    ]
    return _table(("", "Recommended"), [(f"**{name}**", escape(text)) for name, text in rows])


def _progression(advice: Advice) -> str:
    rows = [
        (short(row.epoch), _number(row.train), _number(row.eval), row.note)
        for row in progression(advice)
    ]
    return _table(("Epoch", "Train loss", "Eval loss", ""), rows, numbers=3)


def _key_findings(advice: Advice) -> str:
    seen, target = advice.observed, advice.fit.target
    fall = percent(seen.loss_reduction_percent / 100)
    first, best, last = map(short, (seen.first_loss, seen.best_eval_loss, seen.last_eval_loss))
    return _bullets([
        f"The {target} loss fell by {fall}, from {first} to {best}.",
        f"Best at epoch {short(seen.best_epoch)}; it ended at {last}, epoch {short(seen.epochs)}.",
        f"Overfitting: {words.overfitting(advice)}.",
        f"One value scatters by about {percent(seen.eval_noise)} around the curve.",
    ])  # fmt: skip


def _scenarios(advice: Advice) -> str:
    rows = [
        (s.name, chance(s.probability), _number(s.best_epoch), _number(s.stop_epoch))
        for s in advice.scenarios
    ]
    heads = ("Scenario", "Probability", "Best epoch", "Stop epoch")
    cells = [(escape(name), escape(odds), best, stop) for name, odds, best, stop in rows]
    return _table(heads, cells, text=1, numbers=3)


def _how_sure(advice: Advice) -> str:
    target = advice.fit.target
    rows = [
        (short(f.epochs), short(f.median), words.between(f.low, f.high)) for f in advice.forecast
    ]
    heads = ("Epochs", f"Best {target} loss", "90 % interval")
    limits = [
        "Each row is a run of that many epochs with a learning-rate schedule of its own.",
        "The numbers hold for the same data, model, batch size and peak learning rate.",
        f"A lower {target} loss is not always a better model: look at its answers too.",
    ]
    if target == "train":
        limits.append("Without an eval loss nothing here can show overfitting, only suspect it.")
    return _table(heads, rows, numbers=3) + "\n\n" + _bullets(limits)


def _findings(advice: Advice) -> str:
    if not advice.findings:
        return "None."
    return "\n".join(
        f"- **{escape(f.code)}** ({escape(f.level)}): {escape(f.message)}"
        + (f" *Fix:* {escape(f.fix)}" if f.fix else "")
        for f in advice.findings
    )


def _number(value: float | None) -> str:
    return "-" if value is None else short(value)


def _bullets(texts: list[str] | tuple[str, ...]) -> str:
    return "\n".join(f"- {escape(text)}" for text in texts)


def _table(
    heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, text: int = 0, numbers: int = 0
) -> str:
    """Return a table: `text` columns to the left, then `numbers` to the right, the rest left."""
    rules = ["---:" if text <= i < text + numbers else "---" for i in range(len(heads))]
    lines = (" | ".join(cells) for cells in [heads, tuple(rules), *rows])
    return "\n".join(f"| {line} |" for line in lines)
