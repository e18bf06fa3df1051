"""Runs of another length, each with a learning-rate schedule of its own.

The laws give the shape of loss over length, and `optimum` says where its lowest point lies: every
draw of a law is stretched along its lengths until its own optimum falls on a draw of that one, and
scaled until a run as long as the one in hand gets as low as that got. How far it then rises is not
left to the law either: the rise of a draw above its lowest loss is raised to the power with which a
run as long as the one in hand ends where that ended. For runs that are shorter than both, where the
laws know better, the stretch fades. Logs of other lengths of the same fine-tune then say which of
these draws to believe.

How far such a forecast is off grows with the difference in length; how much, was learned
(`python benchmarks/learn_lengths.py FAMILIES.jsonl.gz`).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from ftadvise.fitting import CORRELATION, DISCREPANCY, Fit
from ftadvise.priors import load
from ftadvise.run import FloatArray

IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]

OCTAVES = 4  # lengths are looked at from 1/16 to 16 times that of the run in hand
PER_OCTAVE = 4
FINENESS = 28  # points of a run at which it is looked at, closer together at its start
# Of the stretch, in units of log length. Of 2, 3, 4 and never, forecasts of shorter runs of data sets
# left out were about as good with 3 and 4, a little worse with 2 and far worse with never
# (`python benchmarks/learn_lengths.py FAMILIES.jsonl.gz --choices`).
FADING = 3.0
# Relative, with which the draws are compared with other runs. Of 0.003, 0.01 and 0.03 the best on
# data sets left out that were told of one more length (same script, --choices).
PEER_ERROR = 0.003
# Points of a run from which its lowest loss so far is taken: those at which `horizon` looks for the
# lowest loss of a run, so that no choice of a power moves what it finds.
WATCHED = np.linspace(0.0, 1.0, 25)[1:]
# Of log loss, added to both rises before they are compared: a log that has not risen yet does not
# say that longer runs never will. From 0.002 to 0.02, and with powers up to 2 to 10, forecasts for
# data sets left out are about as good
# (`python benchmarks/length_ends.py FAMILIES.jsonl.gz --choices`).
UNRISEN = 0.01
MOST_POWER = 3.0


@dataclass(frozen=True, eq=False)
class Lengths:
    """Draws of runs of any length.

    Attributes:
        log_length: Logarithms of the lengths in epochs, rising, shape (g,).
        fraction: Shares of a run, rising from above 0 to 1, shape (f,).
        loss: Of the laws, shape (g, draws, f).
        stretch: What a length is multiplied with before it is looked up, as a logarithm, shape
            (draws,).
        fades_below: Logarithm of the length from which on down the stretch is less and less, shape
            (draws,).
        scale: What the loss is multiplied with, shape (draws,).
        power: To which the loss over its lowest so far is raised, shape (draws,).
    """

    log_length: FloatArray
    fraction: FloatArray
    loss: FloatArray
    stretch: FloatArray
    fades_below: FloatArray
    scale: FloatArray
    power: FloatArray

    def curves(self, fraction: FloatArray, length: float) -> FloatArray:
        """Return the loss at shares of a run of `length` epochs, shape (draws, n)."""
        shapes = self.shapes(np.concatenate([WATCHED, fraction]), length)
        lowest = np.minimum.accumulate(shapes[:, : WATCHED.size], axis=1)
        shapes = shapes[:, WATCHED.size :]
        passed = np.searchsorted(WATCHED, fraction, side="right")
        before = lowest[:, np.maximum(passed - 1, 0)]
        so_far = np.where(passed > 0, np.minimum(before, shapes), shapes)
        curves: FloatArray = self.scale[:, None] * (
            so_far * (shapes / so_far) ** self.power[:, None]
        )
        return curves

    def shapes(self, fraction: FloatArray, length: float) -> FloatArray:
        """Return the same before `scale` and `power`: the laws, stretched, shape (draws, n)."""
        far_below = np.maximum(self.fades_below - math.log(length), 0.0)
        wanted = math.log(length) + self.stretch * np.exp(-far_below / FADING)
        wanted = np.clip(wanted, self.log_length[0], self.log_length[-1])
        place = (wanted - self.log_length[0]) / (self.log_length[1] - self.log_length[0])
        below = np.minimum(place.astype(np.int64), self.log_length.size - 2)
        part = (place - below)[:, None]
        draw = np.arange(self.stretch.size)
        known = (1.0 - part) * self.loss[below, draw] + part * self.loss[below + 1, draw]
        right = np.clip(np.searchsorted(self.fraction, fraction), 1, self.fraction.size - 1)
        left = right - 1
        share = (fraction - self.fraction[left]) / (self.fraction[right] - self.fraction[left])
        rest = known[:, right] - known[:, left]
        between: FloatArray = known[:, left] + np.clip(share, 0.0, 1.0) * rest
        return between

    def take(self, rows: IntArray) -> Lengths:
        """Return these draws."""
        return Lengths(
            self.log_length,
            self.fraction,
            self.loss[:, rows],
            self.stretch[rows],
            self.fades_below[rows],
            self.scale[rows],
            self.power[rows],
        )


def another_run(fitted: Fit, epochs: FloatArray, horizon: float) -> FloatArray:
    """Draw the loss of a run of `horizon` epochs, with the doubt that it is another run.

    Returns:
        One curve a row, noise-free, shape (draws, n).
    """
    normal = np.random.default_rng(2).standard_normal
    curves = expected_run(fitted, epochs, horizon) - fitted.shift
    # One number a draw, whatever the length: a draw that ends too low does so at all of them.
    doubtful: FloatArray = curves * np.exp(doubt(fitted, horizon) * normal((curves.shape[0], 1)))
    return doubtful + fitted.shift


def expected_run(fitted: Fit, epochs: FloatArray, horizon: float) -> FloatArray:
    """As `another_run`, without the doubt: what the draws themselves say, shape (draws, n)."""
    if fitted.optimum is None:
        return fitted.curves(epochs, horizon)
    curves = lengths(fitted).curves(epochs / horizon, horizon)
    return curves + fitted.shift


def doubt(fitted: Fit, horizon: float) -> float:
    """Return the standard deviation of log loss by which a run of another length may be off."""
    ratio = nearest(fitted, horizon)
    if fitted.target == "train":
        return DISCREPANCY["train"] * math.sqrt(1.0 + abs(ratio) / CORRELATION)
    table = load("lengths")["laws" if fitted.optimum is None else "learned"]
    growth = table["longer"] if ratio > 0 else table["shorter"]
    return float(table["near"] + growth * abs(ratio))


def nearest(fitted: Fit, horizon: float) -> float:
    """Return the log of this length over the nearest one that there is a log of."""
    known = [float(fitted.points.epoch[-1]), *(length for length, _ in fitted.peers)]
    return min((math.log(horizon / length) for length in known), key=abs)


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
    stretch = best - wanted
    fades_below = np.minimum(wanted, own)
    plain = np.ones_like(best)
    drawn = Lengths(grid, fraction, loss, stretch, fades_below, plain, plain)
    observed = fitted.smoothed() - shift
    done = float(fitted.points.epoch[-1]) / fitted.horizon
    reached = drawn.shapes(np.minimum(fraction, done), fitted.horizon).min(axis=1)
    scale = observed.min(axis=1) / reached
    power = rise_power(observed, drawn.shapes(np.minimum(WATCHED, done), fitted.horizon))
    drawn = Lengths(grid, fraction, loss, stretch, fades_below, scale, power)
    return drawn.take(_believed(fitted, drawn)) if fitted.peers else drawn


def rise_power(observed: FloatArray, drawn: FloatArray) -> FloatArray:
    """Return the power that makes runs rise by the end of the log as much as was observed.

    Args:
        observed: Draws of the curve behind the log, shape (draws, points).
        drawn: Draws of a run of that length up to where the log ends, shape (draws, n).

    Returns:
        Shape (draws,), between 0 and `MOST_POWER`.
    """
    power = (_risen(observed) + UNRISEN) / (_risen(drawn) + UNRISEN)
    return np.minimum(power, MOST_POWER)


def _risen(curves: FloatArray) -> FloatArray:
    """Return the logarithm of the last loss over the lowest, shape (draws,)."""
    logs = np.log(np.maximum(curves, np.finfo(np.float64).tiny))  # noise may take a draw below 0
    risen: FloatArray = logs[:, -1] - logs.min(axis=1)
    return risen


def _believed(fitted: Fit, drawn: Lengths) -> IntArray:
    """Return the draws that agree with what runs of other lengths reached, by weight."""
    log_weight = np.zeros(drawn.scale.size)
    for length, reached in fitted.peers:
        expected = drawn.scale * drawn.shapes(drawn.fraction, length).min(axis=1)
        off = np.log(max(reached - fitted.shift, 1e-12) / expected)
        log_weight -= 0.5 * (off / math.hypot(PEER_ERROR, fitted.noise)) ** 2
    weight: FloatArray = np.exp(log_weight - log_weight.max())
    # A tenth is kept as it was: no draw is so right that all others are ruled out.
    weight = 0.9 * weight / weight.sum() + 0.1 / weight.size
    places: FloatArray = (np.arange(weight.size) + 0.5) / weight.size
    rows: IntArray = np.minimum(np.searchsorted(np.cumsum(weight), places), weight.size - 1)
    return rows
