"""Published stop rules and a published extrapolation, to be scored on the same curves.

GL and UP are those of Prechelt 1998 ("Early Stopping - But When?", Neural Networks: Tricks of the
Trade), with one evaluation for his epoch and strips of one evaluation. The parametric average is
made after Domhan et al. 2015 (IJCAI, "Speeding up Automatic Hyperparameter Optimization of Deep
Neural Networks by Extrapolation of Learning Curves"): five of their families, fitted by least
squares and weighted by the Bayesian information criterion, with the delta method for the doubt,
where they sample all families and weights together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from ftadvise.run import FloatArray

LEAST = 4
IMPROBABLE = 0.05  # Domhan et al. stop when an improvement is less likely
MOST_POINTS = 40  # of a fit; longer curves are thinned

Family = Callable[..., FloatArray]


def generalization_loss_stop(losses: FloatArray, alpha: float) -> int:
    """Return when the loss first lies more than `alpha` per cent above the best."""
    above = 100.0 * (losses / np.minimum.accumulate(losses) - 1.0)
    hits = np.flatnonzero(above > alpha)
    return int(hits[0]) + 1 if hits.size else losses.size


def successive_rises_stop(losses: FloatArray, strips: int) -> int:
    """Return when the loss has risen `strips` evaluations in a row (UP_s with k = 1)."""
    rises = 0
    for place in range(1, losses.size):
        rises = rises + 1 if losses[place] > losses[place - 1] else 0
        if rises >= strips:
            return place + 1
    return losses.size


def pow3(x: FloatArray, c: float, a: float, alpha: float) -> FloatArray:
    """Return ``c - a x^-alpha``."""
    return c - a * x**-alpha


def log_power(x: FloatArray, a: float, b: float, c: float) -> FloatArray:
    """Return ``a / (1 + (x / e^b)^c)``."""
    return a / (1.0 + (x / math.exp(min(b, 50.0))) ** c)


def exponential(x: FloatArray, c: float, a: float, b: float) -> FloatArray:
    """Return ``c - b exp(-a x)``."""
    return c - b * np.exp(-a * x)


def mmf(x: FloatArray, alpha: float, beta: float, kappa: float, delta: float) -> FloatArray:
    """Return ``alpha - (alpha - beta) / (1 + (kappa x)^delta)``."""
    return alpha - (alpha - beta) / (1.0 + np.abs(kappa * x) ** delta)


def janoschek(x: FloatArray, alpha: float, beta: float, kappa: float, delta: float) -> FloatArray:
    """Return ``alpha - (alpha - beta) exp(-kappa x^delta)``."""
    return alpha - (alpha - beta) * np.exp(-abs(kappa) * x**delta)


def _starts(y: FloatArray) -> list[tuple[Family, tuple[float, ...]]]:
    first, last = float(y[0]), float(y[-1])
    fall = last - first
    return [
        (pow3, (last, fall, 0.5)),
        (log_power, (max(last, first), 2.0, 0.5)),
        (exponential, (last, 0.5, fall)),
        (mmf, (last, first, 0.5, 1.0)),
        (janoschek, (last, first, 0.5, 1.0)),
    ]


def parametric_average(
    epochs: FloatArray, losses: FloatArray, at: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, standard deviation and weight of the loss at `at` by every family that fits.

    Empty where no family could be fitted: with fewer points than numbers to fit.
    """
    keep = np.unique(np.linspace(0, losses.size - 1, MOST_POINTS).astype(int))
    y, unit = losses[keep], float(epochs[0])
    x = epochs[keep] / unit
    found = [_fitted(family, start, x, y, at / unit) for family, start in _starts(y)]
    known = [one for one in found if one is not None]
    if not known:
        return np.empty(0), np.empty(0), np.empty(0)
    mean, deviation, criterion = np.array(known).T
    weight = np.exp(-0.5 * (criterion - criterion.min()))
    return mean, deviation, weight / weight.sum()


def _fitted(
    family: Family, start: tuple[float, ...], x: FloatArray, y: FloatArray, at: float
) -> tuple[float, float, float] | None:
    size, free = x.size, len(start)
    if size <= free:
        return None

    def off(p: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            return np.nan_to_num(family(x, *p) - y, nan=1e6, posinf=1e6, neginf=-1e6)

    try:
        found = optimize.least_squares(off, start, max_nfev=100)
    except (ValueError, np.linalg.LinAlgError):
        return None
    variance = max(2.0 * float(found.cost) / (size - free), 1e-12)
    jacobian = np.asarray(found.jac, dtype=np.float64)
    covariance = variance * np.linalg.pinv(jacobian.T @ jacobian)
    there = np.array([at])
    step = 1e-5 * np.maximum(np.abs(found.x), 1e-3)
    with np.errstate(all="ignore"):
        mean = float(family(there, *found.x)[0])
        moved = [family(there, *(found.x + row))[0] for row in np.diag(step)]
        slope = (np.array(moved) - mean) / step
        spread = math.sqrt(max(float(slope @ covariance @ slope), 0.0) + variance)
    if not (math.isfinite(mean) and math.isfinite(spread)):
        return None
    criterion = size * math.log(2.0 * max(float(found.cost), 1e-12) / size) + free * math.log(size)
    return mean, spread, criterion


def parametric_forecast(epochs: FloatArray, losses: FloatArray, at: float) -> float:
    """Return the loss at `at` by the average, the last value where nothing could be fitted."""
    mean, _, weight = parametric_average(epochs, losses, at)
    guess = float(mean @ weight) if mean.size else float(losses[-1])
    return guess if guess > 0 else float(losses.min())


def parametric_stop(epochs: FloatArray, losses: FloatArray, plan: float | None) -> int:
    """Return when the end of the run is improbable to beat the best so far.

    The end is the planned one, or twice the epochs done where no plan is known.
    """
    for count in range(LEAST, losses.size):
        now = float(epochs[count - 1])
        end = plan if plan and plan > now else 2.0 * now
        mean, spread, weight = parametric_average(epochs[:count], losses[:count], end)
        if mean.size:
            chance = float(weight @ stats.norm.cdf((losses[:count].min() - mean) / spread))
            if chance < IMPROBABLE:
                return count
    return losses.size
