"""The log ends before its schedule does.

What it means
-------------
The run was planned for more epochs than the log shows, and the learning rate was still on its way
down: the log is of a run in progress, a broken one, or one that was stopped early.

Why it matters
--------------
The last part of a decay lowers the loss, often by a few per cent. This run has not collected it,
so its best loss is no fair measure of a run that ends its schedule.

Example
-------
    FT305 info: The log ends at epoch 6 of 10, where the cosine schedule is still at 35 % of its
    peak: the gain of the rest of the decay was not collected.

What to do
----------
If the run is still going, `ftadvise.should_stop` says when to stop it. If it was stopped, plan the
next one for the epochs recommended, so that its schedule ends there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import percent, short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import SPENT_RATE, axis_known, last_epoch, positive, rate_at

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT305"
NAME = "stopped-mid-decay"
WELL_BEFORE = 0.9


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the last epoch is well before the planned end of a decay."""
    planned, last = positive(case.run.planned_epochs), last_epoch(case)
    schedule = case.fit.schedule
    if planned is None or not schedule.anneals or not axis_known(case):
        return
    rate = rate_at(case, last)
    if last >= WELL_BEFORE * planned or rate <= SPENT_RATE:
        return
    epochs = case.proposed.num_train_epochs or planned
    yield Finding(
        CODE,
        "info",
        f"The log ends at epoch {short(last)} of {short(planned)}, where the {schedule.kind} "
        f"schedule is still at {percent(rate)} of its peak: the gain of the rest of the decay was "
        "not collected.",
        {"last_epoch": last, "planned_epochs": planned, "rate": rate},
        f"Plan the next run for the {short(epochs)} epochs proposed, so that its schedule ends there.",
    )
