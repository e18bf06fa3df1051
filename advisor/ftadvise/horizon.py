"""How many epochs: the horizon with the least expected loss of a run of that length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ftadvise.fitting import Fit
from ftadvise.lengths import WATCHED
from ftadvise.measured import next_run, unknown
from ftadvise.patience import evals_per_epoch, rehearse
from ftadvise.run import FloatArray

# Where nothing learned from others can be trusted, how strongly the answer leans to the habit "best
# epoch, rounded up, plus one": this much expected relative loss for every squared unit of
# log(epochs / habit). Laws are wrong in ways that a log does not show.
HABIT_PULL = 0.03
# With one, the same for every squared standard deviation that the answer is away from it: where the
# laws see no cost in a longer run, nothing else would keep it from the longest that is likely at all.
OPTIMUM_PULL = 0.003
ABOUT_AS_GOOD = 0.002  # of the loss
WORST_REGRET = 0.2  # draws that promise more than this are not believed
MOST_CANDIDATES = 40
MOST_EVALS = 48  # of a candidate run, among which it picks its best checkpoint


@dataclass(frozen=True, eq=False)
class Horizons:
    """Candidate lengths of the next run; arrays of shape (k,).

    Attributes:
        epochs: The candidates, rising whole numbers.
        median: Of the loss of the checkpoint that a run of that length keeps, luck taken off.
        low: 5 % quantile.
        high: 95 % quantile.
        chosen: The recommendation.
        near: Smallest and largest candidate that is about as good.
        by_habit: True when there is no eval loss, so that only the habit is left.
        kept: Draws of the loss of the chosen run's checkpoint, shape (draws,).
        price: What one more epoch had to gain, as a share of the loss; None where nothing was set.
    """

    epochs: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    chosen: int
    near: tuple[int, int]
    by_habit: bool
    kept: FloatArray
    price: float | None


def choose_epochs(
    fitted: Fit, best_epoch: float, turned: bool = False, price: float | None = None
) -> Horizons:
    """Choose the number of epochs for the next run.

    Args:
        fitted: The fit of the last run.
        best_epoch: Epoch of its lowest loss.
        turned: Whether overfitting was detected: where nothing was learned from other fine-tunes,
            only the habit plus one comes into question then, whatever a law promises.
        price: What one more epoch has to gain, as a share of the loss. None for the one-standard-error
            rule: the shortest run whose expected loss lies within one standard error of the least.
    """
    habit = math.ceil(best_epoch) + 1
    candidates = _candidates(fitted, habit)
    if turned and fitted.optimum is None:
        candidates = candidates[candidates <= habit + 1]
    if fitted.target == "train":
        chosen, near = habit, (habit, habit + 1)
    else:
        best = np.stack([_best_loss(fitted, float(e)) for e in candidates])
        chosen, near = _cheapest(fitted, candidates, best, habit, price)
    kept = np.stack([_kept_loss(fitted, int(e)) for e in candidates])
    quantiles: FloatArray = np.quantile(kept, [0.05, 0.5, 0.95], axis=1)
    low, median, high = np.maximum(quantiles, fitted.floor)
    by_habit = fitted.target == "train"
    its_own: FloatArray = kept[candidates == chosen][0]
    return Horizons(candidates, median, low, high, chosen, near, by_habit, its_own, price)


def _cheapest(
    fitted: Fit, candidates: FloatArray, best: FloatArray, habit: int, price: float | None
) -> tuple[int, tuple[int, int]]:
    """Return the candidate with the least expected cost, and those about as good."""
    positive = best - fitted.shift
    regret = np.minimum(positive / positive.min(axis=0) - 1.0, WORST_REGRET)
    cost: FloatArray = regret.mean(axis=1)
    found = fitted.optimum
    strange = 1.0 if found is None else 1.0 - found.trust
    pull = strange * HABIT_PULL * np.log(candidates / habit) ** 2
    if found is not None:
        off = (np.log(candidates) - found.log_epochs) / found.spread
        pull = pull + OPTIMUM_PULL * off**2
    # Where runs of such a length were trained, it is known what they reach.
    cost = cost + pull * np.array([unknown(fitted, float(e)) for e in candidates])
    cost = cost + (price or 0.0) * candidates
    least = int(cost.argmin())
    slack = 0.0
    if price is None:
        # Of the mean over the draws, which is known no better than the draws are many.
        slack = float(regret[least].std()) / math.sqrt(regret.shape[1])
    chosen = int(candidates[np.flatnonzero(cost <= cost[least] + slack)[0]])
    about_as_good = candidates[cost <= cost[least] + slack + ABOUT_AS_GOOD]
    return chosen, (min(chosen, int(about_as_good[0])), max(chosen, int(about_as_good[-1])))


def _candidates(fitted: Fit, habit: int) -> FloatArray:
    """Return whole numbers of epochs that come into question, not too many."""
    seen = float(fitted.points.epoch[-1])
    most = max(math.ceil(3 * min(seen, 3.0)), math.ceil(2 * seen), habit + 1)
    if fitted.optimum is not None:
        likely = math.exp(fitted.optimum.log_epochs + 2.5 * fitted.optimum.spread)
        most = max(habit + 1, math.ceil(likely))
    if most <= MOST_CANDIDATES:
        return np.arange(1.0, most + 1.0)
    spread = np.round(np.geomspace(1.0, most, MOST_CANDIDATES))
    return np.unique(np.concatenate([spread, [float(habit), float(habit + 1)]]))


def _best_loss(fitted: Fit, epochs: float) -> FloatArray:
    """Draw the lowest loss of a run of `epochs` epochs, shape (draws,)."""
    times = epochs * WATCHED
    lowest: FloatArray = next_run(fitted, times, epochs).min(axis=1)
    return lowest


def _kept_loss(fitted: Fit, epochs: int) -> FloatArray:
    """Draw the loss of the checkpoint that a run of `epochs` epochs keeps, shape (draws,).

    It is picked by losses as logged, so it need not be the best; but what is returned is its loss
    without noise, which is what it will show on other data.
    """
    per_epoch = evals_per_epoch(epochs) if fitted.run.steps_per_epoch else 1
    return rehearse(fitted, epochs, per_epoch, MOST_EVALS).kept()
