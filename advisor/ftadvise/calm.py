"""The fit without its wild points, for whatever looks at the curve behind them.

The laws are fitted without lone spikes. The curve that is drawn through the points has to leave
them out as well, or it is pulled up or down beside each of them.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from ftadvise.fitting import Fit
from ftadvise.run import FloatArray
from ftadvise.thinning import SPIKE, Points, without_spikes

LEAST_POINTS = 5  # to tell what is usual on a curve
UNUSUAL = 6.0  # times as far as is usual from one point to the next


@functools.lru_cache(maxsize=8)
def calmed(fitted: Fit) -> Fit:
    """Return the fit with lone spikes, and a last point that jumped up, at their neighbours' level."""
    fitted = unspiked(fitted)
    points = fitted.points.lowered(fitted.shift)
    return _with_losses(fitted, points, _without_jump(points.loss))


@functools.lru_cache(maxsize=8)
def unspiked(fitted: Fit) -> Fit:
    """Return the fit with lone spikes at their neighbours' level; its last point stays."""
    points = fitted.points.lowered(fitted.shift)
    return _with_losses(fitted, points, without_spikes(points).loss)


def _with_losses(fitted: Fit, points: Points, loss: FloatArray) -> Fit:
    if np.array_equal(loss, points.loss):
        return fitted
    calm = Points(points.epoch, loss, points.count)
    return replace(fitted, points=calm.lowered(-fitted.shift))


def jumped(fitted: Fit) -> bool:
    """Say whether the last point lies far above the curve before it."""
    return bool(calmed(fitted).points.loss[-1] < fitted.points.loss[-1])


def _without_jump(loss: FloatArray) -> FloatArray:
    if loss.size < LEAST_POINTS or loss.min() <= 0:
        return loss
    steps = np.diff(np.log(loss))
    if steps[-1] <= max(SPIKE, UNUSUAL * float(np.median(np.abs(steps[:-1])))):
        return loss
    level: FloatArray = np.concatenate([loss[:-1], loss[-2:-1]])
    return level
