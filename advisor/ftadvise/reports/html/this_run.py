"""Which curves the chart of a run shows: what was logged, the curve behind it, what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ftadvise.calm import calmed
from ftadvise.numbers import short
from ftadvise.reports import words
from ftadvise.reports.axes import Axis
from ftadvise.reports.curves import LARGEST
from ftadvise.reports.html.extremes import envelope
from ftadvise.reports.html.plot import Band, Dot, Line, Plot, Upright, usual, y_axes
from ftadvise.thinning import MOST_EPOCHS, epochs_known, epochs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice
    from ftadvise.reports.html.stops import Stop
    from ftadvise.run import FloatArray, Run, Series

MOST_POINTS = 1000  # that are drawn one by one
STRETCHES = 500  # of a longer curve
SMOOTH_POINTS = 160


def points(run: Run, series: Series) -> tuple[FloatArray, FloatArray]:
    """Return the finite points of a series as epochs and losses, in order of time."""
    epochs = epochs_of(run, series)
    usable = np.isfinite(series.loss) & (np.abs(epochs) < MOST_EPOCHS)
    epochs, loss = epochs[usable], np.clip(series.loss[usable], -LARGEST, LARGEST)
    order = np.argsort(epochs, kind="stable")
    return epochs[order], loss[order]


def this_run(advice: Advice, stops: Sequence[Stop] = (), most: int = MOST_POINTS) -> Plot | None:
    """Return the chart of what was logged, the curve behind it and what comes next.

    Args:
        advice: What to draw.
        stops: What stop rules would have done, to be marked.
        most: Points of a curve that are drawn one by one; of a longer one what lies between the
            lowest and the highest of each stretch.

    Returns:
        The chart; None where there are fewer than two points.
    """
    fitted, run = advice.fit, advice.run
    x, y = points(run, fitted.series)
    if x.size < 2:
        return None
    name = f"{fitted.target} loss"
    lines: list[Line] = []
    bands: list[Band] = []
    train_x, train_y = points(run, run.train)
    if fitted.target == "eval" and train_x.size:
        _add(lines, bands, "train loss", ("train", "thin"), (train_x, train_y), most)
    _add(lines, bands, name, ("judged", "points"), (x, y), most)
    curve = smooth(advice)
    lines.append(Line(f"{name}, smoothed", "smooth", "line", *curve))
    inside = [*usual(train_y), *(y.tolist() if y.size <= most else usual(y))]
    ahead = _ahead(advice, float(x[-1]), float(curve[1][-1]))
    for band in ahead:
        inside += [*band.low.tolist(), *band.high.tolist()]
    best = Dot("best", "best", advice.observed.best_epoch, advice.observed.best_eval_loss)
    even, log, in_log = y_axes([*inside, best.y])
    reach = max([float(x[-1]), *train_x[-1:].tolist(), *(float(b.x[-1]) for b in ahead)])
    return Plot(
        said=_said(advice),
        unit="epoch" if epochs_known(run) else "time",
        lines=tuple(lines),
        bands=(*bands, *ahead),
        uprights=_onset(advice) + _stopped(stops),
        dots=(best,),
        x=Axis(min(0.0, float(x[0])), reach or 1.0),
        y=even,
        y_log=log,
        log=in_log,
    )


def _add(
    lines: list[Line],
    bands: list[Band],
    name: str,
    look: tuple[str, str],
    curve: tuple[FloatArray, FloatArray],
    most: int,
) -> None:
    """Add a logged curve: its points, or for a long one the range and mean of each stretch."""
    role, kind = look
    if curve[0].size <= most:
        lines.append(Line(name, role, kind, *curve))
        return
    x, low, high, mean = envelope(*curve, min(STRETCHES, most))
    bands.append(Band(f"{name}, lowest to highest", role, x, low, high))
    if kind != "points":  # those have a smooth curve of their own
        lines.append(Line(f"{name}, mean", role, kind, x, mean))


def smooth(advice: Advice) -> tuple[FloatArray, FloatArray]:
    """Return the curve behind the points: the median law, bent to the wander seen at each point."""
    fitted = calmed(advice.fit)
    at = fitted.points.epoch
    seen = np.median(fitted.smoothed(), axis=0) - fitted.shift
    law = np.median(fitted.curves(at), axis=0) - fitted.shift
    even: FloatArray = np.linspace(float(at[0]), float(at[-1]), SMOOTH_POINTS)
    fine: FloatArray = np.unique(np.concatenate([at, even]))
    between = np.interp(np.log(fine), np.log(at), seen / np.maximum(law, 1e-300))
    curve = (np.median(fitted.curves(fine), axis=0) - fitted.shift) * between + fitted.shift
    usable = np.isfinite(curve)
    return fine[usable], curve[usable]


def _ahead(advice: Advice, end: float, level: float) -> tuple[Band, ...]:
    ahead = [one for one in advice.ahead if one.epoch > end]
    if not ahead:
        return ()
    x = np.array([end, *(one.epoch for one in ahead)])
    low = np.array([level, *(one.low for one in ahead)])
    high = np.array([level, *(one.high for one in ahead)])
    return (Band("forecast of this run (90 %)", "ahead", x, low, high),)


def _onset(advice: Advice) -> tuple[Upright, ...]:
    found = advice.overfitting
    if found.onset_epoch is None:
        return ()
    low, high = found.interval or (None, None)
    verb = "from here" if found.status == "detected" else "suspected"
    return (
        Upright(
            "overfitting begins",
            "onset",
            found.onset_epoch,
            f"overfitting {verb}",
            low=low,
            high=high,
        ),
    )


def _stopped(stops: Sequence[Stop]) -> tuple[Upright, ...]:
    """Return where stop rules would have stopped; those that stop together share a mark."""
    together: dict[float, list[Stop]] = {}
    for one in stops:
        if one.stopped:
            together.setdefault(one.at, []).append(one)
    return tuple(
        Upright(
            "an early stop",
            "advised" if any(one.advised for one in same) else "stop",
            at,
            ", ".join(dict.fromkeys(one.label for one in same)),
            foot=True,
        )
        for at, same in together.items()
    )


def _said(advice: Advice) -> str:
    seen = advice.observed
    return (
        f"Chart of the {advice.fit.target} loss over {short(seen.epochs)} epochs: from "
        f"{short(seen.first_loss)} to {short(seen.last_eval_loss)}, lowest {short(seen.best_eval_loss)} "
        f"at epoch {short(seen.best_epoch)}. Overfitting: {words.overfitting(advice)}."
    )
