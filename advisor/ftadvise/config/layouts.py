"""What the advice is called in the YAML of each trainer, and how to tell whose YAML a file is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.config.errors import ConfigFileError
from ftadvise.config.tree import MAPPING, Node
from ftadvise.reports.configuration import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.advice import Recommendation
    from ftadvise.config.values import Value

SECTION = "training"

_HF_NAMES = frozenset({
    "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps",
    "eval_strategy", "evaluation_strategy", "eval_steps", "save_strategy", "save_steps",
    "save_total_limit", "load_best_model_at_end", "metric_for_best_model",
})  # fmt: skip
_AXOLOTL_NAMES = frozenset({"base_model", "num_epochs", "sequence_len", "evals_per_epoch"})
_LLAMA_FACTORY_NAMES = frozenset({
    "finetuning_type", "stage", "template", "cutoff_len", "val_size", "early_stopping_steps",
})  # fmt: skip
# The older name that a file may still have, and what is the same to transformers.
_OLDER = {"eval_strategy": ("evaluation_strategy",)}
_ALIKE: dict[str, tuple[Value, ...]] = {"metric_for_best_model": ("loss",)}

_DATA = "It needs an eval loss: {}."
_NO_THRESHOLD = (
    "{} has no key for the threshold: any gain counts there, so that a run may stop later than "
    "advised, but not earlier."
)


@dataclass(frozen=True)
class Setting:
    """One setting as it has to be in a file.

    Attributes:
        names: Its name, and older names under which it may be there.
        value: What it has to be; None for nothing at all.
        alike: Values that mean the same and can stay.
        add: Whether it is added to a file that does not have it.
    """

    names: tuple[str, ...]
    value: Value
    alike: tuple[Value, ...] = ()
    add: bool = True


@dataclass(frozen=True)
class Layout:
    """How a tool takes the advice in its YAML.

    Attributes:
        tool: Its name, as after `--to`.
        section: Mapping that the settings are in; None for the top level.
        settings: What to set.
        notes: What the YAML of this tool cannot say, or needs besides.
    """

    tool: str
    section: str | None
    settings: tuple[Setting, ...]
    notes: tuple[str, ...] = ()


def layout(tool: str, advised: Recommendation) -> Layout:
    """Return how `tool`, one of `TOOLS`, takes a recommendation."""
    return _LAYOUTS[tool](advised)


def detect(root: Node) -> str:
    """Return whose YAML a file is, by the names that are in it.

    Raises:
        ConfigFileError: FT435 if they are nobody's that is known here.
    """
    pairs = root.pairs if root.kind == MAPPING else ()
    names = {key.value for key, _ in pairs}
    sections = {key.value for key, value in pairs if value.kind == MAPPING or value.blank}
    if SECTION in sections or {"model", "data"} <= sections:
        return "ftadvise"
    if names & _AXOLOTL_NAMES:
        return "axolotl"
    if names & _LLAMA_FACTORY_NAMES:
        return "llama-factory"
    if names & _HF_NAMES:
        return "hf"
    raise ConfigFileError(
        "no telling which trainer this file is for",
        hint=f"Say it with --to: {', '.join(TOOLS)}.",
        code="FT435",
    )


def overruling(root: Node, section: str | None) -> str | None:
    """Say which setting of a file makes its number of epochs void, if there is one."""
    for key, value in root.pairs:
        if key.value == section and value.kind == MAPPING:
            return overruling(value, None)
        if section is None and key.value == "max_steps" and value.value.strip("_").isdigit():
            return f"max_steps: {value.value} overrules the number of epochs; leave it out"
    return None


def common(advised: Recommendation) -> dict[str, Value]:
    """Return the settings that `TrainingArguments` has, patience and threshold left out."""
    named = settings(advised).items()
    return {name: value for name, value in named if not name.startswith("early_stopping_")}


def _settings(values: dict[str, Value]) -> tuple[Setting, ...]:
    return tuple(
        Setting((name, *_OLDER.get(name, ())), value, _ALIKE.get(name, ()))
        for name, value in values.items()
    )


# A left-over `true` would call the highest loss the best.
_LESS_IS_BETTER = Setting(("greater_is_better",), False, add=False)


def _ftadvise(advised: Recommendation) -> Layout:
    values = settings(advised)
    found = tuple(Setting((name,), value) for name, value in values.items())
    # Steps beside the strategy "epoch" would be a mistake there.
    gone = (name for name in ("eval_steps", "save_steps") if name not in values)
    found += tuple(Setting((name,), None, add=False) for name in gone)
    return Layout("ftadvise", SECTION, found)


def _hf(advised: Recommendation) -> Layout:
    # Scripts that read such a file refuse keys that TrainingArguments does not have.
    stopping = (
        Setting(("early_stopping_patience",), advised.early_stopping_patience, add=False),
        Setting(("early_stopping_threshold",), advised.early_stopping_threshold, add=False),
    )
    note = (
        "transformers takes patience and threshold with EarlyStoppingCallback, not from its "
        "arguments: `ftadvise export LOG --to hf` prints the call."
    )
    found = (*_settings(common(advised)), _LESS_IS_BETTER, *stopping)
    return Layout("hf", None, found, (note,))


def _axolotl(advised: Recommendation) -> Layout:
    values = common(advised)
    every = advised.eval_steps or once_an_epoch(advised.num_train_epochs)
    found = (
        Setting(("num_epochs",), advised.num_train_epochs),
        # Patience is refused there without both of these, and the strategies follow from them.
        Setting(("eval_steps",), every),
        Setting(("save_steps",), every),
        Setting(("eval_strategy", "evaluation_strategy"), "steps", add=False),
        Setting(("save_strategy",), "steps", add=False),
        Setting(("evals_per_epoch",), None, add=False),
        Setting(("saves_per_epoch",), None, add=False),
        Setting(("save_total_limit",), values["save_total_limit"]),
        Setting(("load_best_model_at_end",), values["load_best_model_at_end"]),
        Setting(("metric_for_best_model",), values["metric_for_best_model"], ("loss",)),
        _LESS_IS_BETTER,
        Setting(("early_stopping_patience",), advised.early_stopping_patience),
    )
    notes = (_DATA.format("val_set_size or test_datasets"), _NO_THRESHOLD.format("Axolotl"))
    return Layout("axolotl", None, found, notes)


def _llama_factory(advised: Recommendation) -> Layout:
    # Despite its name it counts evaluations: it is handed on as early_stopping_patience.
    patience = Setting(("early_stopping_steps",), advised.early_stopping_patience)
    found = (*_settings(common(advised)), _LESS_IS_BETTER, patience)
    notes = (_DATA.format("val_size or eval_dataset"), _NO_THRESHOLD.format("LLaMA-Factory"))
    return Layout("llama-factory", None, found, notes)


def once_an_epoch(epochs: int) -> float:
    """Return one epoch as a share of all steps, for trainers that take steps below 1 as such.

    They round up to a whole step, so the share is rounded down; it stays below 1, which would be
    one step.
    """
    return (999_999 // epochs) / 1e6


_LAYOUTS: dict[str, Callable[[Recommendation], Layout]] = {
    "ftadvise": _ftadvise,
    "hf": _hf,
    "axolotl": _axolotl,
    "llama-factory": _llama_factory,
}
TOOLS = tuple(_LAYOUTS)
"""Tools whose YAML can be changed."""
