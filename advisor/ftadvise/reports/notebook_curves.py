"""The chart of a run, a fit or an advice, for notebooks and for axes of matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ftadvise.advice import Advice
from ftadvise.fitting import Fit
from ftadvise.numbers import short
from ftadvise.reports.axes import Axis
from ftadvise.reports.html.extremes import thinned
from ftadvise.reports.html.plot import Band, Dot, Line, Plot, usual, y_axes
from ftadvise.reports.html.this_run import points, this_run
from ftadvise.run import Run
from ftadvise.thinning import epochs_known

if TYPE_CHECKING:
    from ftadvise.run import FloatArray

MOST_POINTS = 400  # of a curve in a notebook, which keeps every card it has shown
_FITTED = 60  # places at which the curve of a fit is drawn
_BAND = (0.05, 0.5, 0.95)


def chart_of(thing: Run | Fit | Advice, most: int = MOST_POINTS) -> Plot | None:
    """Return the chart of `thing`, curves of at most `most` points; None where there are no two."""
    if isinstance(thing, Advice):
        return this_run(thing, most=most)
    if isinstance(thing, Fit):
        return _logged(thing.run, thing.target, _behind(thing), most)
    target = "eval" if np.isfinite(thing.eval.loss).sum() >= 2 else "train"
    return _logged(thing, target, None, most)


def _logged(run: Run, target: str, behind: tuple[Line, Band] | None, most: int) -> Plot | None:
    """Return the chart of what was logged, and of the curve behind it where it was fitted."""
    x, y = thinned(*points(run, run.eval if target == "eval" else run.train), most)
    if x.size < 2:
        return None
    name = f"{target} loss"
    kind = "line" if behind is None else "points" if x.size < most else "thin"
    lines = [Line(name, "judged", kind, x, y), *([behind[0]] if behind else [])]
    train_x, train_y = x[:0], y[:0]
    if target == "eval":
        train_x, train_y = thinned(*points(run, run.train), most)
    if train_x.size:
        lines.insert(0, Line("train loss", "train", "thin", train_x, train_y))
    least = int(y.argmin())
    best = Dot("best", "best", float(x[least]), float(y[least]))
    inside = [*y.tolist(), *usual(train_y)]
    even, log, in_log = y_axes(inside)
    ends = [float(one[-1]) for one in (x, train_x) if one.size]
    return Plot(
        said=f"The {name} over {short(ends[0])} epochs, lowest {short(best.y)} at {short(best.x)}.",
        unit="epoch" if epochs_known(run) else "time",
        lines=tuple(lines),
        bands=(behind[1],) if behind else (),
        uprights=(),
        dots=(best,),
        x=Axis(min(0.0, float(x[0])), max(ends) or 1.0),
        y=even,
        y_log=log,
        log=in_log,
    )


def _behind(fit: Fit) -> tuple[Line, Band]:
    """Return the curve behind the points, and where it lies by 90 % of the draws."""
    seen = fit.points.epoch
    count = min(_FITTED, 4 * seen.size)
    at: FloatArray = np.linspace(float(seen[0]), float(seen[-1]), count)
    smoothed = fit.smoothed()
    curves = np.empty((smoothed.shape[0], at.size))
    for row, curve in enumerate(smoothed):
        curves[row] = np.interp(at, seen, curve)
    low, median, high = np.quantile(curves, _BAND, axis=0)
    line = Line("fit", "smooth", "line", at, median)
    return line, Band("fit (90 %)", "smooth", at, low, high)
