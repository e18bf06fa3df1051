"""The curve is flat at its end because the learning rate has run out.

What it means
-------------
The loss no longer moves, and neither can the weights: the schedule has brought the learning rate
below 5 % of its peak.

Why it matters
--------------
A flat end looks like convergence. Here it says nothing about it: any curve is flat where the rate
is next to zero. More epochs of this run would not lower the loss, while a longer run with a
schedule of its own may go lower, or overfit.

Example
-------
    FT203 info: The eval loss is flat at the end (epoch 3), where the linear schedule has brought
    the learning rate to 0 % of its peak. That is the learning rate's flatness, not convergence.

What to do
----------
Judge convergence by where the rate was still high. To train longer, start again with more epochs:
a longer run with a decaying learning rate is another curve, not more of this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import percent, short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import SPENT_RATE, curve, ending, last_epoch, rate_at

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT203"
NAME = "flat-because-rate-ran-out"
FLAT = 0.02  # at most this change over the last quarter counts as flat


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the end is flat and the rate is spent."""
    schedule, end = case.fit.schedule, ending(case)
    if end is None or end.falling or not (schedule.known and schedule.anneals):
        return
    last = last_epoch(case)
    rate = rate_at(case, last)
    if rate >= SPENT_RATE or abs(end.change) > min(FLAT, max(2.0 * end.doubt, FLAT / 4)):
        return
    yield Finding(
        CODE,
        "info",
        f"The {curve(case)} is flat at the end (epoch {short(last)}), where the {schedule.kind} "
        f"schedule has brought the learning rate to {percent(rate)} of its peak. That is the "
        "learning rate's flatness, not convergence: more epochs of the same run would not go on "
        "from here.",
        {"last_epoch": last, "rate": rate, "change": end.change, "schedule": schedule.kind},
        "To train longer, start again with a schedule made for more epochs.",
    )
