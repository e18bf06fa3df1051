"""There are too few evaluations to tell a trend from noise.

What it means
-------------
The curve that the advice rests on has fewer than five usable points.

Why it matters
--------------
Two points show a direction, three a bend. The noise of an evaluation and the point where
overfitting begins take at least five: below that the noise is assumed, and a single wild value can
move the answer.

Example
-------
    FT102 warning: 3 usable eval losses: they show a direction and the best so far. The noise of
    one is assumed (0.6 %), and a turning point cannot be told from noise.

What to do
----------
Evaluate more often in the next run, three to five times per epoch in runs of up to three epochs;
or pass earlier runs of the same kind as `past` to `ftadvise.advise`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import percent
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import curve

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT102"
NAME = "too-few-evals"
ENOUGH = 5


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the fitted curve has fewer than five points."""
    size = case.fit.points.loss.size
    if size >= ENOUGH:
        return
    shows = "a direction and no more" if size == 2 else "a direction and the best so far"
    yield Finding(
        CODE,
        "warning",
        f"{size} usable {curve(case)}es: they show {shows}. The noise of one is mostly assumed "
        f"({percent(case.fit.noise)}), and a turning point can hardly be told from noise.",
        {"points": size, "needed": ENOUGH, "noise": case.fit.noise},
        "Evaluate more often in the next run, three to five times per epoch in a short one.",
    )
