"""The early-stopping threshold is larger than the gains it should count.

What it means
-------------
`early_stopping_threshold` is absolute. Against this loss it is more than 1 %, or more than what
one evaluation gains on the one before late in a run.

Why it matters
--------------
In transformers an evaluation counts only if it beats the best so far by more than the threshold,
and yet any gain, however small, moves that best. So gains below the threshold never add up: a run
that improves slowly and steadily is stopped although it improves all the time.

Example
-------
    FT302 info: A threshold of 0.001, as is customary, is 2.9 % of this loss (0.0349): real gains
    below it would count as none.

What to do
----------
Set the threshold to 0, or below the gain of one evaluation, and let patience absorb the noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import percent, short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import positive

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT302"
NAME = "threshold-swallows-gains"
CUSTOMARY = 0.001
LARGE = 0.01  # of the best loss


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding for the threshold that was used, or for the customary one if none was."""
    used = case.used.early_stopping_threshold
    threshold = CUSTOMARY if used is None else positive(used)
    if threshold is None:
        return
    lowest = float(case.fit.points.loss.min())
    gain = positive(case.gain_per_eval)
    share = threshold / lowest if lowest > 0 else None
    large = share is not None and share > LARGE
    if not large and (gain is None or threshold <= gain):
        return
    what = f"A threshold of {short(threshold)}{', as is customary,' if used is None else ''}"
    if share is not None and large:
        size = f"is {percent(share)} of this loss ({short(lowest)})"
    else:
        size = f"is more than the {short(gain or 0.0)} that an evaluation gains late in the run"
    yield Finding(
        CODE,
        "info" if used is None else "warning",
        f"{what} {size}: real gains below it would count as none. In transformers they never add "
        "up, so slow, steady improvement is stopped.",
        {"threshold": threshold, "best_loss": lowest, "share": share, "gain_per_eval": gain},
        "Set early_stopping_threshold to 0, or below the gain of one evaluation.",
    )
