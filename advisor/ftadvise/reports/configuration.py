"""The recommendation as the `training:` block of a YAML file."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftadvise.advice import Recommendation

# What the recommendation says about itself is no setting.
_NO_SETTING = ("epochs_range", "expected_eval_loss", "probability_of_false_stop")


def settings(advised: Recommendation) -> dict[str, Any]:
    """Return the settings to use, by their names in `transformers.TrainingArguments`."""
    named = asdict(advised).items()
    return {name: value for name, value in named if name not in _NO_SETTING and value is not None}


def training_block(advised: Recommendation) -> list[str]:
    """Return the lines of a YAML block, ready to paste."""
    lines = (f"  {name}: {as_yaml(value)}" for name, value in settings(advised).items())
    return ["training:", *lines]


def as_yaml(value: bool | float | str) -> str:
    """Return `value` so that every YAML reader takes it for what it is: 5.0e-05, never 5e-05."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, float) else str(value)
    mantissa, exponent, power = text.partition("e")
    if isinstance(value, float) and exponent and "." not in mantissa:
        return f"{mantissa}.0e{power}"
    return text
