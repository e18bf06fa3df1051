"""Where overfitting begins: the turning point of the curve behind the points, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise.calm import calmed, jumped
from ftadvise.fitting import Fit

RISE = 0.002  # of the loss: a smaller rise than this is no overfitting
SURE, LIKELY = 0.9, 0.5
LEAST_EVALS = 4


@dataclass(frozen=True)
class Onset:
    """Where overfitting begins.

    Attributes:
        status: `"detected"`, `"suspected"`, `"none"`, or `"not identified"` when the log cannot
            tell.
        onset_epoch: The first logged point from which the curve stays above its lowest point by
            more than 0.2 %; None unless detected or suspected.
        interval: Where the curve leaves its valley, in epochs, with 90 %: from the last point in
            it to the first past it; None as above.
        probability: That the curve behind the points ends above its lowest point.
        best_epoch: Median of the turning point, whatever the status.
    """

    status: str
    onset_epoch: float | None
    interval: tuple[float, float] | None
    probability: float
    best_epoch: float


def onset(fitted: Fit) -> Onset:
    """Return the posterior of the turning point.

    Every draw of the curve behind the points (law and wander, without noise) has its lowest
    point; overfitting is a rise after it of more than 0.2 % of the loss. A train loss can only
    make one suspect it, and only once examples have come round again: it is measured on the data
    that are being memorised. Lone spikes do not count; a jump of the last point, which nothing
    after it tells from a spike, makes one suspect it.
    """
    found = _turning(calmed(fitted))
    if found.onset_epoch is None and jumped(fitted):
        before, last = (float(epoch) for epoch in fitted.points.epoch[-2:])
        if _status(fitted, SURE) != "not identified":
            return Onset("suspected", last, (before, last), SURE, found.best_epoch)
    return found


def _turning(fitted: Fit) -> Onset:
    curves, epochs = fitted.smoothed() - fitted.shift, fitted.points.epoch
    turning = curves.argmin(axis=1)
    lowest = curves.min(axis=1)
    rises = (curves[:, -1] > (1.0 + RISE) * lowest) & (turning < epochs.size - 1)
    # A loss that never moved has not risen, however much the wander of a draw allows for.
    probability = float(rises.mean()) if np.ptp(fitted.points.loss) > 0 else 0.0
    best_epoch = float(np.quantile(epochs[turning], 0.5, method="nearest"))
    # A curve that ends at its lowest point has not turned up, however much a draw may wander.
    ends_lowest = bool(fitted.points.loss[-1] <= fitted.points.loss.min())
    status = _status(fitted, probability)
    if ends_lowest and status != "none":
        status = "not identified"
    if status in ("none", "not identified"):
        return Onset(status, None, None, probability, best_epoch)
    in_valley = curves[rises] <= (1.0 + RISE) * lowest[rises, None]
    last_in = epochs.size - 1 - in_valley[:, ::-1].argmax(axis=1)
    low, middle, high = np.quantile(last_in, [0.05, 0.5, 0.95], method="nearest")
    past = np.minimum(np.array([low, middle, high], dtype=np.int64) + 1, epochs.size - 1)
    interval = (float(epochs[int(low)]), float(epochs[past[2]]))
    return Onset(status, float(epochs[past[1]]), interval, probability, best_epoch)


def _status(fitted: Fit, probability: float) -> str:
    few = fitted.points.loss.size < LEAST_EVALS
    if fitted.target == "train":
        seen_twice = float(fitted.points.epoch[-1]) > 1.0
        return "suspected" if seen_twice and probability >= LIKELY else "not identified"
    if probability >= SURE and not few:
        return "detected"
    if probability >= LIKELY:
        return "suspected"
    return "not identified" if few or probability > 1.0 - SURE else "none"
