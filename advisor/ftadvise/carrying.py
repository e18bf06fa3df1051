"""What a fine-tune says about another one: other data, another model, another learning rate.

The best number of epochs falls with the peak learning rate and the size of the model, and is higher
for LoRA. Its logarithm is moved along these slopes, and gets as unsure as pairs of fine-tunes were
found to be apart (`python benchmarks/learn_carry.py FAMILIES.jsonl.gz`). The level of the loss does
not carry over to other data or another tokenizer, and nothing here says it does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ftadvise.numbers import short
from ftadvise.optimum import Optimum
from ftadvise.priors import load

if TYPE_CHECKING:
    from ftadvise.history.facts import Facts

# In log epochs, upwards and downwards: the slopes come from models of 2 to 30 million parameters,
# and a step from one of those to a large one is further than they reach.
MOST = math.log(2.0)
SAME = 0.15  # difference of the logs of two rates or sizes that count as one


@dataclass(frozen=True)
class Change:
    """What is known of the run in hand, and of the one that is to come."""

    before: Facts
    after: Facts

    @property
    def other_data(self) -> bool:
        """Whether the data are known to be others."""
        return _differ(self.before.data, self.after.data)

    @property
    def rate(self) -> float:
        """Log of how much higher the peak learning rate is; 0 where that is unknown."""
        return _ratio(self.before.learning_rate, self.after.learning_rate)

    @property
    def size(self) -> float:
        """Log of how much larger the model is; 0 where that is unknown."""
        return _ratio(self.before.parameters, self.after.parameters)

    @property
    def to_lora(self) -> int:
        """1 from all weights to LoRA, -1 back, 0 for no change."""
        if not _differ(self.before.method, self.after.method):
            return 0
        return 1 if self.after.method == "lora" else -1


def differences(change: Change) -> tuple[str, ...]:
    """Return what is known to differ, as phrases; empty for the same fine-tune.

    What is unknown of either is taken to be the same in both.
    """
    before, after = change.before, change.after
    found: list[str] = []
    if change.other_data:
        found.append("other data")
    if _differ(before.model, after.model) or abs(change.size) > SAME:
        found.append("another model")
    if abs(change.rate) > SAME:
        rates = short(after.learning_rate or 0.0), short(before.learning_rate or 0.0)
        found.append(f"a learning rate of {rates[0]} instead of {rates[1]}")
    if change.to_lora:
        found.append(
            "LoRA instead of all weights" if change.to_lora > 0 else "all weights, no LoRA"
        )
    return tuple(found)


def carried(found: Optimum, change: Change) -> Optimum:
    """Return where the best number of epochs lies after a change, from where it lay before."""
    if not differences(change):
        return found
    table = load("carry")
    slopes = table["slopes"]
    moved = (
        slopes["log_learning_rate"] * change.rate
        + slopes["log_parameters"] * change.size
        + slopes["lora"] * change.to_lora
    )
    apart = table["spread"]["other_data" if change.other_data else "same_data"]
    return replace(
        found,
        log_epochs=found.log_epochs + min(max(moved, -MOST), MOST),
        spread=math.hypot(found.spread, apart),
    )


def _ratio(before: float | None, after: float | None) -> float:
    return math.log(after / before) if before and after else 0.0


def _differ(one: object, other: object) -> bool:
    return one is not None and other is not None and one != other
