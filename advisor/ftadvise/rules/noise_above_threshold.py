"""One evaluation scatters more than the early-stopping threshold.

What it means
-------------
An evaluation scatters around the curve by more than `early_stopping_threshold`. Whether an
evaluation counts as an improvement is then decided by chance as much as by learning.

Why it matters
--------------
A lucky value resets the patience although nothing was gained, and the good value it leaves behind
is hard to beat, so that patience then runs out although the model still improves.

Example
-------
    FT103 warning: One evaluation scatters by about 0.0072 (0.6 % of 1.2), more than the threshold
    of 0.001 that this run used: noise alone resets the patience or lets it run out.

What to do
----------
Let patience, not the threshold, absorb the noise: threshold 0 and a patience that fits the gain
per evaluation. Or lower the noise: four times as many held-out examples halve it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import percent, short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import heights, positive

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT103"
NAME = "noise-above-threshold"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when this run's threshold, above zero, is below the noise of an evaluation."""
    if case.fit.target != "eval":  # the noise of a train loss is not what patience meets
        return
    noise = case.fit.noise * float(heights(case)[-1])
    last = float(case.fit.points.loss[-1])
    share = "" if case.fit.shift else f" ({percent(case.fit.noise)} of {short(last)})"
    threshold = positive(case.used.early_stopping_threshold)
    if threshold is None or noise <= threshold:
        return
    yield Finding(
        CODE,
        "warning",
        f"One evaluation scatters by about {short(noise)}{share}, more than the threshold of "
        f"{short(threshold)} that this run used: noise alone resets the patience or lets it run "
        "out.",
        {"noise": noise, "threshold": threshold, "last_loss": last},
        "Set the threshold to 0 and let patience absorb the noise, or evaluate on more data.",
    )
