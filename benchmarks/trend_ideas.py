"""Ideas for the continuation of a curve, each a formula with a few numbers to learn.

Every idea foretells the change of log loss from the columns of a `trend_table.Table`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from trend_table import Table

from ftadvise.run import FloatArray
from ftadvise.trend import STEEPEST

ROUNDING = 0.02  # of a change: errors far above it count by their logarithm
LEAN = 3e-4  # towards the start, so that a number without use stays where it was

Formula = Callable[[FloatArray, Table], FloatArray]


@dataclass(frozen=True)
class Idea:
    """A formula with the numbers to start from; none where there is nothing to learn."""

    formula: Formula
    start: tuple[float, ...] = ()


def squash(x: FloatArray, most: FloatArray | float) -> FloatArray:
    """Return `x`, levelling off at `most`."""
    squashed: FloatArray = most * np.tanh(x / most)
    return squashed


def steep(slope: FloatArray) -> FloatArray:
    """Return a slope no steeper than is believed."""
    believed: FloatArray = np.clip(slope, -STEEPEST, STEEPEST)
    return believed


def apart(p: FloatArray, t: Table) -> FloatArray:
    """Return p0 of a rising slope and p1 of a falling one."""
    share = np.where(t.slope > 0, p[0], p[1])
    part: FloatArray = share * steep(t.slope)
    return part


def shrinking(p: FloatArray, t: Table) -> FloatArray:
    """Return the drift with a cap of exp(p2) epoch^-p3."""
    return squash(apart(p, t), np.exp(p[2]) * t.epoch ** -p[3])


def approach(p: FloatArray, t: Table) -> FloatArray:
    """Return p0 of the linear slope, dying out exponentially at rate exp(p1)."""
    rate = np.exp(p[1])
    change: FloatArray = p[0] * steep(t.linear) * -np.expm1(-rate * np.expm1(t.ahead)) / rate
    return change


CHOSEN = "capped, the cap shrinks, + laws"
START = (1.1, 0.5, -0.6, 0.5)
IDEAS = {
    "last value": Idea(lambda p, t: 0.0 * t.ahead),
    "half the slope": Idea(lambda p, t: 0.5 * t.ahead * t.slope),
    "a third of it + drought": Idea(lambda p, t: t.ahead * (t.slope / 3 + 0.1 * t.drought)),
    "laws alone": Idea(lambda p, t: t.law),
    "damped slope": Idea(lambda p, t: t.ahead * p[0] * steep(t.slope), (0.5,)),
    "damped slope + drought": Idea(
        lambda p, t: t.ahead * (p[0] * steep(t.slope) + p[1] * t.drought), (0.5, 0.0)
    ),
    "rise and fall apart": Idea(lambda p, t: t.ahead * apart(p, t), (1.0, 0.5)),
    "exponential approach": Idea(approach, (0.5, 0.0)),
    "capped": Idea(lambda p, t: t.ahead * squash(apart(p, t), np.exp(p[2])), (1.1, 0.5, -1.5)),
    "capped + laws": Idea(
        lambda p, t: t.ahead * squash(apart(p, t), np.exp(p[2])) + p[3] * t.law,
        (1.1, 0.5, -1.5, 0.1),
    ),
    "capped, the cap shrinks": Idea(lambda p, t: t.ahead * shrinking(p, t), START),
    CHOSEN: Idea(lambda p, t: t.ahead * shrinking(p, t) + p[4] * t.law, (*START, 0.1)),
    "the same, cap by evaluations": Idea(
        lambda p, t: (
            t.ahead * squash(apart(p, t), np.exp(p[2]) * (t.count / 10.0) ** -p[3]) + p[4] * t.law
        ),
        (1.1, 0.5, -2.0, 0.5, 0.1),
    ),
    "the same + drought": Idea(
        lambda p, t: t.ahead * (shrinking(p, t) + p[5] * t.drought) + p[4] * t.law,
        (*START, 0.1, 0.0),
    ),
    "the same + train loss gap": Idea(
        lambda p, t: t.ahead * (shrinking(p, t) + p[5] * steep(t.gap)) + p[4] * t.law,
        (*START, 0.1, 0.0),
    ),
    "the same + last third": Idea(
        lambda p, t: t.ahead * (shrinking(p, t) + p[5] * steep(t.third)) + p[4] * t.law,
        (*START, 0.1, 0.0),
    ),
    "the same + whole curve": Idea(
        lambda p, t: t.ahead * (shrinking(p, t) + p[5] * steep(t.whole)) + p[4] * t.law,
        (*START, 0.1, 0.0),
    ),
    "the same, by level of loss": Idea(
        lambda p, t: (
            t.ahead * shrinking(p, t) * np.exp(p[5] * np.clip(t.level, -3, 3)) + p[4] * t.law
        ),
        (*START, 0.1, 0.0),
    ),
}


def learn(idea: Idea, table: Table, first: FloatArray | None = None) -> FloatArray:
    """Return the numbers with the least mean of log(1 + |error| / 0.02).

    Args:
        idea: The formula.
        table: The rows to learn from.
        first: Numbers to try besides the start, such as those learned from all rows.
    """
    if not idea.start:
        return np.empty(0)
    start = np.array(idea.start)

    def cost(p: FloatArray) -> float:
        error = idea.formula(p, table) - table.change
        rounded = np.sqrt(error**2 + 1e-6)
        lean = LEAN * float(np.sum((p - start) ** 2))
        return float(np.mean(np.log1p(rounded / ROUNDING))) + lean

    starts = [start] if first is None else [first, start]
    found = [optimize.minimize(cost, at, method="BFGS", options={"gtol": 1e-4}) for at in starts]
    best: FloatArray = min(found, key=lambda one: float(one.fun)).x
    return best
