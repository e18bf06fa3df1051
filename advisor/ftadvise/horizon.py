"""How many epochs: the horizon with the least expected loss of a run of that length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ftadvise.fitting import Fit
from ftadvise.forecasting import another_run
from ftadvise.run import FloatArray

# How strongly the answer leans to the habit "best epoch, rounded up, plus one": this much
# expected relative loss for every squared unit of log(epochs / habit). Laws are wrong in ways
# that a log does not show, and the habit is seldom far off.
HABIT_PULL = 0.03
INDIFFERENCE = 0.001  # of the loss: an extra epoch has to gain more than this
WORST_REGRET = 0.2  # draws that promise more than this are not believed
MOST_CANDIDATES = 40
FINENESS = 24  # points at which a candidate run is looked at


@dataclass(frozen=True, eq=False)
class Horizons:
    """Candidate lengths of the next run; arrays of shape (k,).

    Attributes:
        epochs: The candidates, rising whole numbers.
        median: Of the best loss that a run of that length reaches.
        low: 5 % quantile.
        high: 95 % quantile.
        chosen: The recommendation.
        near: Smallest and largest candidate that is about as good.
        by_habit: True when there is no eval loss, so that only the habit is left.
    """

    epochs: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    chosen: int
    near: tuple[int, int]
    by_habit: bool


def choose_epochs(fitted: Fit, best_epoch: float, turned: bool = False) -> Horizons:
    """Choose the number of epochs for the next run.

    Args:
        fitted: The fit of the last run.
        best_epoch: Epoch of its lowest loss.
        turned: Whether overfitting was detected: then nothing beyond the habit plus one comes
            into question, whatever a law promises of a longer schedule.
    """
    habit = math.ceil(best_epoch) + 1
    candidates = _candidates(fitted, habit)
    if turned:
        candidates = candidates[candidates <= habit + 1]
    best = np.stack([_best_loss(fitted, float(e)) for e in candidates])
    quantiles: FloatArray = np.quantile(best, [0.05, 0.5, 0.95], axis=1)
    low, median, high = np.maximum(quantiles, fitted.floor)
    if fitted.target == "train":
        near = (habit, habit + 1)
        return Horizons(candidates, median, low, high, habit, near, by_habit=True)
    positive = best - fitted.shift
    regret = np.minimum(positive / positive.min(axis=0) - 1.0, WORST_REGRET).mean(axis=1)
    cost = regret + HABIT_PULL * np.log(candidates / habit) ** 2
    chosen = int(candidates[np.flatnonzero(cost <= cost.min() + INDIFFERENCE)[0]])
    about_as_good = candidates[cost <= cost.min() + max(2 * INDIFFERENCE, fitted.noise)]
    near = (min(chosen, int(about_as_good[0])), max(chosen, int(about_as_good[-1])))
    return Horizons(candidates, median, low, high, chosen, near, by_habit=False)


def _candidates(fitted: Fit, habit: int) -> FloatArray:
    """Return whole numbers of epochs from one to three times what was seen, not too many."""
    seen = float(fitted.points.epoch[-1])
    most = max(math.ceil(3 * min(seen, 3.0)), math.ceil(2 * seen), habit + 1)
    if most <= MOST_CANDIDATES:
        return np.arange(1.0, most + 1.0)
    spread = np.round(np.geomspace(1.0, most, MOST_CANDIDATES))
    return np.unique(np.concatenate([spread, [float(habit), float(habit + 1)]]))


def _best_loss(fitted: Fit, epochs: float) -> FloatArray:
    """Draw the lowest loss of a run of `epochs` epochs, shape (draws,)."""
    times = epochs * np.linspace(0.0, 1.0, FINENESS + 1)[1:]
    lowest: FloatArray = another_run(fitted, times, epochs).min(axis=1)
    return lowest
