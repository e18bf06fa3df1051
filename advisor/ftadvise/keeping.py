"""Train again, or keep the checkpoint that there is: true losses compared, luck taken off both.

The lowest of many noisy evaluations is low by luck, the more so the noisier they are. A loss that
is still to come has no such luck yet, so the two must not be compared as logged: every run would
seem to get worse. Both sides here are draws of the curve without noise, at a checkpoint that was
picked by losses with noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise.calm import calmed
from ftadvise.fitting import Fit
from ftadvise.run import FloatArray


@dataclass(frozen=True)
class Comparison:
    """The checkpoint of a run against that of the next one.

    Attributes:
        expected: Median loss of the checkpoint that there is, without noise.
        gain: What the next one is lower, as a share of it: 5 % quantile, median and 95 % quantile;
            negative where training again is expected to end worse. None where the log has losses
            at or below zero, of which there are no shares.
    """

    expected: float
    gain: tuple[float, float, float] | None


def compare(fitted: Fit, best_epoch: float, best_loss: float, following: FloatArray) -> Comparison:
    """Compare the best checkpoint of a run with that of the next.

    Args:
        fitted: The fit of the run.
        best_epoch: Where its best checkpoint is.
        best_loss: The loss of that, as logged.
        following: Draws of the loss of the next run's checkpoint, shape (draws,).
    """
    now = true_loss(fitted, best_epoch, best_loss)
    expected = max(float(np.median(now)), fitted.floor)
    if fitted.shift or best_loss <= 0:
        return Comparison(expected, None)
    gain = 1.0 - following / now
    low, middle, high = np.quantile(gain, [0.05, 0.5, 0.95])
    return Comparison(expected, (float(low), float(middle), float(high)))


def true_loss(fitted: Fit, epoch: float, logged: float) -> FloatArray:
    """Draw the loss without noise of the checkpoint of `epoch`, shape (draws,).

    What was measured before the first step is no point of the fit and is taken as it is.
    """
    draws = fitted.smoothed().shape[0]
    if epoch <= 0:
        as_logged: FloatArray = logged * np.ones(draws)
        return as_logged
    calm = calmed(fitted)
    curves, epochs = calm.smoothed(), calm.points.epoch
    right = min(int(np.searchsorted(epochs, epoch)), epochs.size - 1)
    left = max(right - 1, 0)
    width = float(epochs[right] - epochs[left])
    share = min(max((epoch - float(epochs[left])) / width, 0.0), 1.0) if width > 0 else 1.0
    between: FloatArray = (1.0 - share) * curves[:, left] + share * curves[:, right]
    return between
