"""The points of a curve that a fit looks at: finite, in order of time, and not too many.

A log of a hundred thousand train losses says no more about the law than a few hundred means over
windows that grow with time, so the cost of a fit does not depend on the length of the log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise.run import FloatArray, Run, Series

MOST_POINTS = 120
SPIKE = 0.26  # log of 1.3
MOST_EPOCHS = 1e9  # what lies beyond is no pass over data
LARGEST = 1e100  # a loss beyond it has exploded; how far makes no difference, but overflows


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a curve; arrays of one length.

    Attributes:
        epoch: Passes over the data, rising and positive.
        loss: The loss, or the mean over a window.
        count: How many logged values stand behind each point.
    """

    epoch: FloatArray
    loss: FloatArray
    count: FloatArray

    def lowered(self, by: float) -> Points:
        """Return the points with `by` taken off every loss."""
        return Points(self.epoch, self.loss - by, self.count)

    def first(self, size: int) -> Points:
        """Return the first `size` points."""
        return Points(self.epoch[:size], self.loss[:size], self.count[:size])


def observed_points(run: Run, target: str) -> Points:
    """Return the points of `run.eval` or `run.train` that a fit looks at."""
    series = run.eval if target == "eval" else run.train
    epoch = epochs_of(run, series)
    usable = np.isfinite(series.loss) & np.isfinite(epoch) & (epoch > 0) & (epoch < MOST_EPOCHS)
    epoch, loss = epoch[usable], np.clip(series.loss[usable], -LARGEST, LARGEST)
    order = np.argsort(epoch, kind="stable")
    return _thin(epoch[order], loss[order])


def without_spikes(points: Points) -> Points:
    """Return the points with lone spikes put back to their neighbours' level.

    A spike lies more than 30 %, and six times as far as is usual on this curve, off the median of
    itself and its two neighbours. One wild evaluation would otherwise set the level of the fit.
    """
    loss = points.loss
    if loss.size < 5 or loss.min() <= 0:
        return points
    inner = np.median([loss[:-2], loss[1:-1], loss[2:]], axis=0)
    middle = np.concatenate([loss[:1], inner, loss[-1:]])
    off = np.abs(np.log(loss / middle))
    spikes = off > max(SPIKE, 6.0 * float(np.median(off)))
    return Points(points.epoch, np.where(spikes, middle, loss), points.count)


def epochs_of(run: Run, series: Series) -> FloatArray:
    """Return the epoch of every point of `series`, by whatever the log gives.

    The epochs of the log where they tell the points apart; else steps over the steps per epoch;
    else steps as a share of the run (the whole run counts as one epoch); else the position.
    """
    if not len(series):
        return series.epoch
    if np.isfinite(series.epoch).all() and _tells_apart(series.epoch):
        return series.epoch
    per_epoch = run.steps_per_epoch
    if np.isfinite(series.step).any() and _tells_apart(series.step):
        whole = per_epoch or run.planned_steps or float(np.nanmax(series.step))
        return series.step / max(whole, 1e-12)
    return np.arange(1.0, len(series) + 1.0)


def epochs_known(run: Run) -> bool:
    """Say whether the log tells how many passes over the data were made."""
    for series in (run.eval, run.train):
        if len(series) and np.isfinite(series.epoch).all() and _tells_apart(series.epoch):
            return True
    return run.steps_per_epoch is not None


def _tells_apart(axis: FloatArray) -> bool:
    known = axis[np.isfinite(axis)]
    return known.size > 0 and (known.size == 1 or float(np.ptp(known)) > 0)


def _thin(epoch: FloatArray, loss: FloatArray) -> Points:
    """Average over windows: points at one epoch always, and more where the log is long."""
    if epoch.size == 0:
        return Points(epoch, loss, epoch)
    edges = np.linspace(0.0, 1.0, MOST_POINTS + 1)[1:-1] ** 2 * epoch[-1]
    bins = np.searchsorted(edges, epoch) if epoch.size > MOST_POINTS else _ranks(epoch)
    count = np.bincount(bins).astype(np.float64)
    filled = count > 0
    mean_epoch = np.bincount(bins, epoch)[filled] / count[filled]
    mean_loss = np.bincount(bins, loss)[filled] / count[filled]
    return Points(mean_epoch, mean_loss, count[filled])


def _ranks(epoch: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    fresh = np.concatenate([[False], np.diff(epoch) > 0])
    return np.cumsum(fresh).astype(np.int64)
