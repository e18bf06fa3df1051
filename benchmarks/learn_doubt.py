"""The constants of the trend from a table of real curves: drift first, then its doubt."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import optimize, stats
from trend_ideas import CHOSEN, IDEAS, learn
from trend_table import Table

from ftadvise.run import FloatArray
from ftadvise.trend import TAIL_90, Constants, damped, doubt

FREEDOM = 3.0
HORIZONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.1, 9.0)


def learn_constants(table: Table) -> Constants:
    """Learn the drift from the ends of the curves and the doubt from every evaluation ahead.

    The doubt has the largest likelihood as the scale of a Student-t; the widening then makes the
    interval hold nine in ten of the rows.
    """
    rise, fall, cap, power, share = learn(IDEAS[CHOSEN], table.take(table.last.astype(bool)))
    drift = {
        "rise": _rounded(rise),
        "fall": _rounded(fall),
        "cap": _rounded(math.exp(cap)),
        "cap_power": _rounded(power),
        "law_share": _rounded(share),
    }

    def with_doubt(q: FloatArray) -> Constants:
        noise, level, slope, growth = (float(value) for value in np.exp(q))
        return Constants(
            **drift,
            noise_doubt=noise,
            level_doubt=level,
            slope_doubt=slope,
            growth=growth,
            widening=1.0,
        )

    error = table.change - foretold(table, with_doubt(np.zeros(4)))

    def cost(q: FloatArray) -> float:
        scale = doubts(table, with_doubt(q))
        return float(-np.mean(stats.t.logpdf(error / scale, FREEDOM) - np.log(scale)))

    start = np.log([1.5, 0.03, 0.4, 1.0])
    found = optimize.minimize(cost, start, method="Nelder-Mead", options={"maxiter": 2000})
    rounded = [_rounded(float(value)) for value in np.exp(found.x)]
    plain = with_doubt(np.log(rounded))
    widening = float(np.quantile(np.abs(error) / doubts(table, plain), 0.9)) / TAIL_90
    keys = ("noise_doubt", "level_doubt", "slope_doubt", "growth")
    return Constants(**drift, **dict(zip(keys, rounded, strict=True)), widening=_rounded(widening))


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def foretold(table: Table, constants: Constants) -> FloatArray:
    """Return the median change of log loss of every row."""
    drift = damped(table.slope, table.epoch, constants)
    return table.ahead * drift + constants.law_share * table.law


def doubts(table: Table, constants: Constants) -> FloatArray:
    """Return the scale of the Student-t of every row."""
    return doubt(table.slope, table.noise, table.ahead, constants)


def inside(table: Table, constants: Constants) -> FloatArray:
    """Return 1 where the 90 % interval holds the loss, else 0."""
    off = np.abs(table.change - foretold(table, constants))
    held: FloatArray = (off <= TAIL_90 * doubts(table, constants)).astype(np.float64)
    return held


def print_coverage(table: Table, held: FloatArray, fitted: FloatArray) -> None:
    """Print the share of losses inside the interval by how far ahead they lie."""
    print("\ncoverage of the 90 % interval by distance (log of epochs asked over epochs seen)")
    for title, rows in (("any later evaluation", table.last > -1), ("the last", table.last > 0)):
        for low, high in itertools.pairwise(HORIZONS):
            mask = rows & (table.ahead > low) & (table.ahead <= high)
            if mask.any():
                print(
                    f"  {title:20s} {low:.1f} to {high:.1f}  n={int(mask.sum()):4d}"
                    f"  left out {held[mask].mean():.3f}  in-sample {fitted[mask].mean():.3f}"
                )
