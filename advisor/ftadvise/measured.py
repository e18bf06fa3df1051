"""Runs of another length, held to what other runs of the same fine-tune reached.

The draws of `lengths` are shapes; believing some of them more than others cannot move them to where
none of them is. So what they are off at the lengths that were really trained is carried over to
those near by: the logarithm of the loss over the logarithm of the length is taken as the draw plus
a Gaussian process of covariance

    k(a, b) = UNKNOWN² · (1 + d) exp(-d),   d = |log a - log b| / REACH   (Matérn 3/2),

known at the trained lengths up to the noise of an evaluation (kriging). It is smooth, so that a
trained length is no minimum just because it was trained.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from ftadvise.fitting import ENDED, Fit
from ftadvise.lengths import WATCHED, another_run, expected_run
from ftadvise.run import FloatArray

# Chosen on fine-tunes of which several lengths were given at once: from 0.02 to 0.1 and from 0.5 to
# 2 nothing moves by more than the noise of the comparison.
UNKNOWN = 0.05  # of log loss: how far a draw may be off far from all lengths that were trained
REACH = 1.0  # in log length
REPEATED = 0.003  # by which the log loss of two runs differs that differ in their seed alone


@dataclass(frozen=True, eq=False)
class Measured:
    """What the lengths that were trained say about draws of runs.

    Attributes:
        log_length: Logarithms of those lengths, shape (m,).
        inverse: Of the covariance of what is known of them, shape (m, m).
        off: Logarithm of what was reached over what is drawn, shape (m, draws).
    """

    log_length: FloatArray
    inverse: FloatArray
    off: FloatArray

    def correction(self, horizon: float) -> FloatArray:
        """Return what the draws of a run of `horizon` epochs are multiplied with, shape (draws,)."""
        off: FloatArray = self._near(horizon) @ self.inverse @ self.off
        return np.exp(off)

    def unknown(self, horizon: float) -> float:
        """Return the share of the doubt that is left at a length: 1 far from all, towards 0 at one."""
        near = self._near(horizon)
        return max(0.0, 1.0 - float(near @ self.inverse @ near) / UNKNOWN**2)

    def _near(self, horizon: float) -> FloatArray:
        near: FloatArray = _covariance(np.log(np.array([horizon])), self.log_length)[0]
        return near


def next_run(fitted: Fit, epochs: FloatArray, horizon: float) -> FloatArray:
    """Draw the loss of a run of `horizon` epochs, noise-free, shape (draws, n)."""
    curves = another_run(fitted, epochs, horizon)
    known = measured(fitted)
    if known is None:
        return curves
    corrected: FloatArray = (curves - fitted.shift) * known.correction(horizon)[:, None]
    return corrected + fitted.shift


def unknown(fitted: Fit, horizon: float) -> float:
    """Return how much is left open at a length by the runs that were trained, 0 to 1."""
    known = measured(fitted)
    return 1.0 if known is None else known.unknown(horizon)


@functools.lru_cache(maxsize=4)
def measured(fitted: Fit) -> Measured | None:
    """Return what the trained lengths say; None for one run alone, whose length the draws know."""
    if not fitted.peers:
        return None
    lowest = float(fitted.points.loss.min())
    reached = float(np.median(fitted.smoothed().min(axis=1))) - fitted.shift
    # The lowest of several noisy evaluations is low by luck: in the other runs as in this one.
    luck = reached / max(lowest - fitted.shift, 1e-300)
    pairs = [(length, luck * (loss - fitted.shift)) for length, loss in fitted.peers]
    if float(fitted.points.epoch[-1]) >= ENDED * fitted.horizon:
        pairs.append((fitted.horizon, reached))
    usable = [(length, loss) for length, loss in pairs if length > 0 and loss > 0]
    if not usable:
        return None
    length, loss = np.array(usable).T
    log_length: FloatArray = np.log(length)
    error = fitted.noise**2 + REPEATED**2
    covariance = _covariance(log_length, log_length) + error * np.eye(log_length.size)
    different, which = np.unique(length, return_inverse=True)
    runs = [expected_run(fitted, e * WATCHED, e).min(axis=1) for e in different.tolist()]
    drawn = np.stack(runs)[which]
    off: FloatArray = np.log(loss[:, None] / np.maximum(drawn - fitted.shift, 1e-300))
    inverse: FloatArray = np.linalg.inv(covariance).astype(np.float64)
    return Measured(log_length, inverse, off)


def _covariance(one: FloatArray, other: FloatArray) -> FloatArray:
    apart = np.abs(one[:, None] - other[None]) / REACH
    found: FloatArray = UNKNOWN**2 * (1.0 + apart) * np.exp(-apart)
    return found
