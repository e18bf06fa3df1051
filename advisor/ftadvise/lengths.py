"""Runs of another length, each with a learning-rate schedule of its own.

The laws give the shape of loss over length, and `optimum` says where its lowest point lies: every
draw of a law is stretched along its lengths until its own optimum falls on a draw of that one, and
scaled until a run as long as the one in hand ends where that ended. Logs of other lengths of the
same fine-tune then say which of these draws to believe.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from ftadvise.fitting import CORRELATION, DISCREPANCY, Fit
from ftadvise.run import FloatArray

IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]

OCTAVES = 4  # lengths are looked at from 1/16 to 16 times that of the run in hand
PER_OCTAVE = 4
FINENESS = 28  # points of a run at which it is looked at, closer together at its start
PEER_ERROR = 0.01  # relative, with which the draws are compared with other runs


@dataclass(frozen=True, eq=False)
class Lengths:
    """Draws of runs of any length.

    Attributes:
        log_length: Logarithms of the lengths in epochs, rising, shape (g,).
        fraction: Shares of a run, rising from above 0 to 1, shape (f,).
        loss: Of the laws, shape (g, draws, f).
        stretch: What a length is multiplied with before it is looked up, shape (draws,).
        scale: What the loss is multiplied with, shape (draws,).
    """

    log_length: FloatArray
    fraction: FloatArray
    loss: FloatArray
    stretch: FloatArray
    scale: FloatArray

    def curves(self, fraction: FloatArray, length: float) -> FloatArray:
        """Return the loss at shares of a run of `length` epochs, shape (draws, n)."""
        wanted = np.log(length * self.stretch)
        wanted = np.clip(wanted, self.log_length[0], self.log_length[-1])
        place = (wanted - self.log_length[0]) / (self.log_length[1] - self.log_length[0])
        below = np.minimum(place.astype(np.int64), self.log_length.size - 2)
        part = (place - below)[:, None]
        draw = np.arange(self.stretch.size)
        known = (1.0 - part) * self.loss[below, draw] + part * self.loss[below + 1, draw]
        right = np.clip(np.searchsorted(self.fraction, fraction), 1, self.fraction.size - 1)
        left = right - 1
        share = (fraction - self.fraction[left]) / (self.fraction[right] - self.fraction[left])
        between = known[:, left] + np.clip(share, 0.0, 1.0) * (known[:, right] - known[:, left])
        curves: FloatArray = self.scale[:, None] * between
        return curves

    def take(self, rows: IntArray) -> Lengths:
        """Return these draws."""
        return Lengths(
            self.log_length,
            self.fraction,
            self.loss[:, rows],
            self.stretch[rows],
            self.scale[rows],
        )


def another_run(fitted: Fit, epochs: FloatArray, horizon: float) -> FloatArray:
    """Draw the loss of a run of `horizon` epochs, with the doubt that it is another run.

    Returns:
        One curve a row, noise-free, shape (draws, n).
    """
    shift = fitted.shift
    if fitted.optimum is None:
        curves = fitted.curves(epochs, horizon) - shift
    else:
        curves = lengths(fitted).curves(epochs / horizon, horizon)
    apart = abs(math.log(horizon / float(fitted.points.epoch[-1])))
    doubt = DISCREPANCY[fitted.target] * math.sqrt(1.0 + apart / CORRELATION)
    normal = np.random.default_rng(2).standard_normal((curves.shape[0], 1))
    return curves * (1.0 + doubt * normal) + shift


@functools.lru_cache(maxsize=4)
def lengths(fitted: Fit) -> Lengths:
    """Draw runs of any length; the fit has an optimum."""
    if fitted.optimum is None:
        raise ValueError("the fit has no optimum")
    own = math.log(fitted.horizon)
    octave = math.log(2.0)
    grid = own + octave * np.linspace(-OCTAVES, OCTAVES, 2 * OCTAVES * PER_OCTAVE + 1)
    fraction = np.linspace(0.0, 1.0, FINENESS + 1)[1:] ** 1.3
    shift = fitted.shift
    loss = np.stack([fitted.curves(fraction * e, e) - shift for e in np.exp(grid).tolist()])
    lowest = loss.min(axis=2)
    best = grid[lowest.argmin(axis=0)]
    normal = np.random.default_rng(5).standard_normal(best.size)
    wanted = fitted.optimum.log_epochs + fitted.optimum.spread * normal
    stretch = np.exp(best - wanted)
    drawn = Lengths(grid, fraction, loss, stretch, np.ones_like(best))
    reached = fitted.smoothed().min(axis=1) - shift
    scale = reached / drawn.curves(fraction, fitted.horizon).min(axis=1)
    drawn = Lengths(grid, fraction, loss, stretch, scale)
    return drawn.take(_believed(fitted, drawn)) if fitted.peers else drawn


def _believed(fitted: Fit, drawn: Lengths) -> IntArray:
    """Return the draws that agree with what runs of other lengths reached, by weight."""
    log_weight = np.zeros(drawn.scale.size)
    for length, reached in fitted.peers:
        expected = drawn.curves(drawn.fraction, length).min(axis=1)
        off = np.log(max(reached - fitted.shift, 1e-12) / expected)
        log_weight -= 0.5 * (off / math.hypot(PEER_ERROR, fitted.noise)) ** 2
    weight = np.exp(log_weight - log_weight.max())
    # A tenth is kept as it was: no draw is so right that all others are ruled out.
    weight = 0.9 * weight / weight.sum() + 0.1 / weight.size
    places = (np.arange(weight.size) + 0.5) / weight.size
    rows: IntArray = np.minimum(np.searchsorted(np.cumsum(weight), places), weight.size - 1)
    return rows
