"""Patience, threshold and cadence: the exact stop rule replayed on draws of the next run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ftadvise.fitting import Fit
from ftadvise.measured import next_run
from ftadvise.run import FloatArray
from ftadvise.stopping import IntArray, transformers_stop

EVALS_PER_RUN = 6  # fewer show no trend
PATIENCES = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)  # one bad evaluation alone says nothing
FALSE_STOPS = 0.05  # accepted probability
MOST_EVALS = 5000  # that are simulated
SMALL_LOSS = 0.005  # a stop that loses less than this share of the loss is no false stop
MOST_CHECKPOINTS = 5


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Draws of the next run as its trainer would log it.

    Attributes:
        epochs: Epoch of every evaluation, shape (n,).
        curves: Loss without noise, shape (draws, n).
        logged: Loss as it would be logged, shape (draws, n).
        shift: Taken off before losses are compared as shares; see `Fit.shift`.
    """

    epochs: FloatArray
    curves: FloatArray
    logged: FloatArray
    shift: float

    def kept(self) -> FloatArray:
        """Return the loss without noise of the checkpoint that looks best, shape (draws,)."""
        looks_best = self.logged.argmin(axis=1)
        chosen: FloatArray = self.curves[np.arange(looks_best.size), looks_best]
        return chosen


@dataclass(frozen=True)
class StopRule:
    """Patience and threshold of `transformers.EarlyStoppingCallback`.

    Attributes:
        patience: Evaluations without improvement before the run stops.
        threshold: Smallest gain in loss that counts.
        false_stop: Probability that the rule stops the run before an evaluation that would have
            been better by more than half a percent.
        gain_per_eval: Expected fall of the loss per evaluation in the last third of the run.
    """

    patience: int
    threshold: float
    false_stop: float
    gain_per_eval: float


def evals_per_epoch(epochs: int) -> int:
    """Return how often to evaluate in an epoch, so that the run shows at least six evaluations."""
    return max(1, math.ceil(EVALS_PER_RUN / epochs))


def rehearse(fitted: Fit, epochs: int, per_epoch: int, most: int = MOST_EVALS) -> Rehearsal:
    """Draw the next run: `epochs` epochs with a schedule of its own.

    A run of thousands of epochs is rehearsed with evenly spread evaluations, `most` of them.
    """
    size = min(epochs * per_epoch, most)
    times: FloatArray = np.arange(1.0, size + 1.0) * (epochs / size)
    curves = next_run(fitted, times, float(epochs))
    normal = np.random.default_rng(4).standard_normal(curves.shape)
    logged = curves + (curves - fitted.shift) * fitted.noise * normal
    return Rehearsal(times, curves, logged, fitted.shift)


def choose_rule(fitted: Fit, rehearsal: Rehearsal, longer: Rehearsal) -> StopRule:
    """Choose the smallest patience whose false stops are rare, and a threshold that is harmless.

    The patience has to hold in a run of the recommended length and in a `longer` one, since a
    patience that only works because the run ends first protects nothing. Where none up to 30
    does, it is one that cannot fire in a run of that length: not stopping early beats stopping
    falsely.
    """
    gain = _late_gain(rehearsal)
    threshold = _threshold(fitted, rehearsal, gain)
    never = rehearsal.epochs.size  # a patience that cannot fire
    patience, chance = PATIENCES[0], 1.0
    for patience in (*PATIENCES, max(never, PATIENCES[-1] + 1)):
        chance = false_stops(rehearsal, patience, threshold)
        if max(chance, false_stops(longer, patience, threshold)) <= FALSE_STOPS:
            break
    return StopRule(patience, threshold, chance, gain)


def false_stops(rehearsal: Rehearsal, patience: int, threshold: float) -> float:
    """Return the share of draws that the rule stops before a clearly better evaluation."""
    stops = transformers_stop(rehearsal.logged, patience, threshold)
    curves = rehearsal.curves - rehearsal.shift
    size = curves.shape[1]
    places: IntArray = np.arange(size, dtype=np.int64)
    before = places[None] < stops[:, None]
    kept = np.where(before, rehearsal.logged, np.inf).argmin(axis=1)
    kept_loss = curves[np.arange(curves.shape[0]), kept]
    missed = np.where(before, np.inf, curves).min(axis=1)
    return float((missed < (1.0 - SMALL_LOSS) * kept_loss).mean())


def _late_gain(rehearsal: Rehearsal) -> float:
    """Return the expected fall per evaluation in the last third; not negative."""
    size = rehearsal.epochs.size
    start = min(size - 1, (2 * size) // 3)
    if size < 2:
        return 0.0
    start = min(start, size - 2)
    fall = np.median(rehearsal.curves[:, start] - rehearsal.curves[:, -1])
    return max(0.0, float(fall) / (size - 1 - start))


def _threshold(fitted: Fit, rehearsal: Rehearsal, gain: float) -> float:
    """Return a quarter of the noise or of the gain, whichever is less, to one digit.

    transformers lets the best move on any gain, so that gains below the threshold never add up;
    a threshold above the gain per evaluation stops a run that is still improving.
    """
    level = float(np.median(rehearsal.curves.min(axis=1))) - fitted.shift
    scatter = fitted.noise * level
    wanted = 0.25 * (min(gain, scatter) if gain > 0 else scatter)
    if wanted <= 0:
        return 0.0
    digit = 10.0 ** math.floor(math.log10(wanted))
    return round(math.floor(wanted / digit + 1e-9) * digit, 12)


def checkpoints_to_keep(rehearsal: Rehearsal) -> int:
    """Return how many checkpoints to keep: all that may be the best, and the newest.

    Counts the evaluations among which 90 % of the draws have their best, between 2 and 5.
    """
    best = rehearsal.logged.argmin(axis=1)
    share = np.sort(np.bincount(best, minlength=rehearsal.epochs.size))[::-1] / best.size
    needed = int(np.searchsorted(np.cumsum(share), 0.9)) + 1
    return min(MOST_CHECKPOINTS, max(2, needed + 1))
