"""One row for each moment of a real curve and each later evaluation asked about."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from real_curves import Curve

from ftadvise.fitting import fit
from ftadvise.forecasting import law_pull
from ftadvise.run import FloatArray, Run
from ftadvise.thinning import Points, observed_points
from ftadvise.trend import recent_trend

CUTS = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one length; losses and their changes are in logarithms.

    Attributes:
        curve: Place of the curve in the list.
        cut: Share of the evaluations seen.
        last: Whether the last evaluation of the run is asked about.
        ahead: h, the logarithm of the epoch asked about over the last one seen.
        change: What is to be foretold: log loss there over log loss now.
        slope: Of log loss over log epoch on the last half; `third` on the last third, `whole` on
            all points; `linear` over epochs instead, in units of the last epoch.
        epoch: Last epoch seen.
        count: Evaluations seen.
        drought: Share of the points since the best.
        noise: Relative scatter of one point.
        law: Change that the fitted laws foresee.
        gap: Slope of log train loss over eval loss on the last half; 0 without a train loss.
        level: Log loss now.
    """

    curve: FloatArray
    cut: FloatArray
    last: FloatArray
    ahead: FloatArray
    change: FloatArray
    slope: FloatArray
    third: FloatArray
    whole: FloatArray
    linear: FloatArray
    epoch: FloatArray
    count: FloatArray
    drought: FloatArray
    noise: FloatArray
    law: FloatArray
    gap: FloatArray
    level: FloatArray

    def take(self, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Table:
        """Return the rows where `mask` is true."""
        return Table(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})


def tabulate(curves: list[Curve]) -> Table:
    """Return the rows of all curves, at five moments and up to three evaluations ahead."""
    rows: list[dict[str, float]] = []
    for place, curve in enumerate(curves):
        size = curve.losses.size
        for cut in CUTS:
            count = max(3, round(cut * size))
            rows += _rows(curve, place, cut, count, sorted({count, (count + size) // 2, size - 1}))
    return Table(**{key: np.array([row[key] for row in rows]) for key in rows[0]})


def _rows(
    curve: Curve, place: int, cut: float, count: int, asked: list[int]
) -> list[dict[str, float]]:
    run = curve.first(count)
    fitted = fit(run)
    points, now = fitted.points, float(fitted.points.epoch[-1])
    trend = recent_trend(points, "eval")
    log_time, log_loss = np.log(points.epoch), np.log(points.loss)
    half, third = (-max(3, math.ceil(points.loss.size / part)) for part in (2, 3))
    shared = {
        "curve": place,
        "cut": cut,
        "slope": trend.slope,
        "third": _slope(log_time[third:], log_loss[third:]),
        "whole": _slope(log_time, log_loss),
        "linear": _slope(points.epoch[half:] / now, log_loss[half:]),
        "epoch": now,
        "count": points.loss.size,
        "drought": trend.drought,
        "noise": trend.noise,
        "gap": _gap_slope(run, points, half),
        "level": trend.log_level,
    }
    rows: list[dict[str, float]] = []
    for place_asked in asked:
        last = place_asked == curve.losses.size - 1
        at = curve.end if last else float(curve.run.eval.epoch[place_asked])
        if not at > now:
            continue  # the log has no usable epochs there
        before, after = np.median(fitted.curves(np.array([now, at])), axis=0)
        change = math.log(curve.losses[place_asked] / points.loss[-1])
        law = law_pull(math.log(max(after, 1e-300) / max(before, 1e-300)))
        ahead = math.log(at / now)
        rows.append(shared | {"last": last, "ahead": ahead, "change": change, "law": law})
    return rows


def _slope(x: FloatArray, y: FloatArray) -> float:
    centred = x - x.mean()
    return float(centred @ y) / max(float(centred @ centred), 1e-12)


def _gap_slope(run: Run, points: Points, half: int) -> float:
    train = observed_points(run, "train")
    if not train.loss.size or train.loss.min() <= 0:
        return 0.0
    known = np.interp(points.epoch, train.epoch, np.log(np.maximum(train.loss, 1e-6)))
    return _slope(np.log(points.epoch[half:]), (known - np.log(points.loss))[half:])
