"""The proposed run has another length, so it is another curve.

What it means
-------------
More epochs are proposed than this run had, and its learning rate is not known to be constant.

Why it matters
--------------
A schedule that decays is stretched to the length of the run. At the same epoch a longer run has a
higher learning rate: it is worse there than this run was, and may turn up earlier or end lower.
Neither the best epoch nor the best loss of this run can be read across.

Example
-------
    FT207 info: 7 epochs are proposed and this run had 5: a longer run with a decaying learning
    rate is another curve, not more of this one.

What to do
----------
Do not resume this run with a higher `num_train_epochs`: the rate would jump. Start again, and
compare the two runs at their ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import axis_known, last_epoch, positive

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT207"
NAME = "another-curve"
ABOUT = 1.02  # epochs are rounded in many logs


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when more epochs are proposed than were run, unless the rate is constant."""
    proposed, done = positive(case.proposed.num_train_epochs), last_epoch(case)
    if proposed is None or proposed <= ABOUT * done or not axis_known(case) or _constant(case):
        return
    horizon = case.fit.horizon
    if horizon / ABOUT <= proposed <= horizon * ABOUT:  # this run, brought to its planned end
        return
    longer = "longer" if proposed > horizon else "shorter"
    had = f"this run had {short(done)}"
    if horizon > ABOUT * done:
        had = f"this run was planned for {short(horizon)}"
    doubt = "" if case.fit.schedule.anneals else " (The log does not show its schedule.)"
    yield Finding(
        CODE,
        "info",
        f"{short(proposed)} epochs are proposed and {had}: a {longer} run with a decaying learning "
        f"rate is another curve, not more of this one.{doubt}",
        {"proposed_epochs": proposed, "epochs": done, "schedule_epochs": horizon},
        "Start again rather than resume, and compare the two runs at their ends.",
    )


def _constant(case: Case) -> bool:
    """Say whether the log shows or names a constant rate."""
    named = (case.run.settings.lr_scheduler_type or "").lower().startswith("constant")
    schedule = case.fit.schedule
    return not schedule.anneals and (schedule.known or named)
