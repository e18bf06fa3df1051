"""The two constants of the live stop: how a drought leans the trend, and what chance stops."""

from __future__ import annotations

import itertools

import numpy as np
from real_curves import FOLDS, Curve, resamples
from stop_table import (
    Frontier,
    IntArray,
    Moments,
    first_stops,
    frontier,
    spent_and_regret,
)

from ftadvise.live import WORTH
from ftadvise.run import FloatArray
from ftadvise.trend import Constants, student_t3

DROUGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)
CHANCES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.15)
SPENT = (0.72, 0.8)  # share of the evaluations that a stop may spend on average
BAGS = 40


Stop = tuple[float, float]  # lean of a drought, chance below which a run stops


def stops(curves: list[Curve], at: Moments, constants: Constants, stop: Stop) -> IntArray:
    """Return after how many evaluations the live decision stops every curve."""
    sizes = np.array([curve.losses.size for curve in curves])
    return first_stops(at.margin(constants, stop[0]) < _margin(stop[1]), at, sizes)


def _margin(chance: float) -> float:
    """Return where the Student-t's distribution function is `chance`, by bisection."""
    low, high = -50.0, 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_t3(middle) < chance else (low, middle)
    return low


def learn_stop(
    curves: list[Curve], at: Moments, constants: Constants, used: FloatArray | None = None
) -> Stop:
    """Return how a drought leans the trend, and the chance below which a run stops.

    The lean has the largest likelihood for "some later evaluation is better than the best so far by
    one percent", every curve counting once, so that the chance means what it says. The threshold
    does best on average over bootstrap samples of origins: minimised is the regret as a share of
    patience's frontier at what is spent, on all curves plus on those that overfit.

    Args:
        curves: The curves.
        at: Their moments.
        constants: Of the trend.
        used: 1 for the curves to learn from, 0 for the others; all when None.
    """
    known = np.ones(len(curves)) if used is None else used
    weights = (known / np.maximum(np.bincount(at.curve, minlength=len(curves)), 1))[at.curve]
    gains = later_gains(curves, at)
    lean = min(DROUGHTS, key=lambda d: _log_loss(chances(at, constants, d), gains, weights))
    bags = resamples([curve.group for curve in curves], BAGS, seed=1) * known
    overfits = np.array([curve.overfits for curve in curves], dtype=np.float64)
    patience = frontier(curves)
    costs: dict[Stop, float] = {}
    for chance in CHANCES:
        stop = (lean, chance)
        spent, regret = spent_and_regret(curves, stops(curves, at, constants, stop))
        if SPENT[0] <= float(spent @ known / known.sum()) <= SPENT[1]:
            costs[stop] = float(
                np.nanmean([_cost(patience, spent, regret, bag, overfits) for bag in bags])
            )
    return min(costs, key=lambda pair: costs[pair])


def chances(at: Moments, constants: Constants, lean: float) -> FloatArray:
    """Return the chance of a gain at every moment."""
    return np.array([student_t3(float(place)) for place in at.margin(constants, lean)])


def later_gains(curves: list[Curve], at: Moments) -> FloatArray:
    """Return 1 where some later evaluation is better than the best so far by one percent."""
    lowest = [np.minimum.accumulate(curve.losses) for curve in curves]
    later = [np.minimum.accumulate(curve.losses[::-1])[::-1] for curve in curves]
    pairs = zip(at.curve, at.count, strict=True)
    gains = [later[c][n] < (1.0 - WORTH) * lowest[c][n - 1] for c, n in pairs]
    return np.array(gains, dtype=np.float64)


def _log_loss(chance: FloatArray, gains: FloatArray, weights: FloatArray) -> float:
    likelihood = np.where(gains > 0, chance, 1.0 - chance)
    return float(-np.average(np.log(likelihood + 1e-6), weights=weights))


def _cost(
    patience: Frontier,
    spent: FloatArray,
    regret: FloatArray,
    bag: FloatArray,
    overfits: FloatArray,
) -> float:
    return patience.share(spent, regret, bag) + patience.share(spent, regret, bag * overfits)


def held_stops(
    curves: list[Curve], at: Moments, fold: IntArray, held: list[Constants]
) -> tuple[IntArray, FloatArray]:
    """Return stops and chances by constants that were learned without a curve's origin."""
    found = np.zeros(len(curves), dtype=np.int64)
    chance = np.zeros(at.curve.size)
    for k in range(FOLDS):
        pair = learn_stop(curves, at, held[k], (fold != k).astype(np.float64))
        found[fold == k] = stops(curves, at, held[k], pair)[fold == k]
        rows = fold[at.curve] == k
        chance[rows] = chances(at, held[k], pair[0])[rows]
    return found, chance


def print_calibration(gains: FloatArray, chance: FloatArray) -> None:
    """Print how often a gain came, by the chance that was given for it."""
    print("\ngain of 1 % before the end of the log, by the chance given for it (left out)")
    edges = (0.0, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
    for low, high in itertools.pairwise(edges):
        mask = (chance >= low) & (chance < high)
        if mask.any():
            print(
                f"  {low:.2f} to {high:.2f}  n={int(mask.sum()):5d}  came {gains[mask].mean():.3f}"
            )


def stop_scores(curves: list[Curve], found: IntArray) -> dict[str, list[float]]:
    """Return spent share, share of the frontier's regret and its bootstrap 90 % interval by part."""
    spent, regret = spent_and_regret(curves, found)
    patience = frontier(curves)
    bags = resamples([curve.group for curve in curves], 300)
    overfits = np.array([curve.overfits for curve in curves], dtype=np.float64)
    scores: dict[str, list[float]] = {}
    for part, weights in (("all", np.ones(len(curves))), ("overfit", overfits)):
        drawn = [patience.share(spent, regret, bag * weights) for bag in bags]
        low, high = np.nanquantile(drawn, [0.05, 0.95])
        share = patience.share(spent, regret, weights)
        mine = float(spent @ weights / weights.sum())
        scores[part] = [round(value, 2) for value in (mine, share, float(low), float(high))]
    return scores
