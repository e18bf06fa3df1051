"""The best evaluation lies in the middle of the decay of the learning rate.

What it means
-------------
The loss turned up while the learning rate was still well above zero on its way down: the schedule
was made for more epochs than the data bear.

Why it matters
--------------
Decaying the rate to zero lowers the loss by itself. The best checkpoint of this run never got
that: a run whose schedule ends at the right length mostly ends below it. That length is not where
this curve was lowest, since its rate had not come down there; mostly it lies a little beyond.

Example
-------
    FT206 warning: The best evaluation (epoch 4) lies where the linear schedule was at 60 % of its
    peak, so its checkpoint has not had what the rest of a decay gains.

What to do
----------
Train again with the `num_train_epochs` recommended, whose schedule ends there, rather than stop a
long schedule early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import percent, short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import SPENT_RATE, rate_at

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT206"
NAME = "best-in-mid-decay"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when overfitting began while the rate was between 5 and 95 % of its peak."""
    schedule = case.fit.schedule
    turned = case.onset.status in ("detected", "suspected") and case.fit.target == "eval"
    if not turned or not (schedule.known and schedule.anneals):
        return
    epoch = case.onset.best_epoch
    rate = rate_at(case, epoch)
    warming = epoch <= schedule.warmup * case.fit.horizon
    if warming or not SPENT_RATE < rate < 1.0 - SPENT_RATE:
        return
    epochs = case.proposed.num_train_epochs or epoch
    yield Finding(
        CODE,
        "warning",
        f"The curve had its lowest point near epoch {short(epoch)}, where the {schedule.kind} schedule "
        f"was at {percent(rate)} of its peak, so its checkpoint has not had what the rest of a "
        "decay gains.",
        {"best_epoch": epoch, "rate": rate, "schedule": schedule.kind},
        f"Train again with a schedule of its own for the {short(epochs)} epochs proposed, or keep that checkpoint.",
    )
