"""The posterior over the shapes of all laws: a table of weights, and draws from it.

For every shape on a law's grid the offset L0 and the height A are the weighted least-squares
solution, and the shape's weight is its marginal likelihood under a common unknown scale of noise
and wander (a Student-t after integrating the scale out).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.laws import Axes, Law
from ftadvise.plugin_faults import FAULTS
from ftadvise.run import FloatArray
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

DRAWS = 400
LEAST_LOSS = 0.05  # of the lowest loss seen: no draw goes below
SCALE_POINTS = 6.0  # what the assumed sizes of noise and wander are worth, in points
OFFSET_MEAN, OFFSET_SPREAD = 0.6, 0.3  # of L0 over the lowest loss


@dataclass(frozen=True)
class LawShare:
    """A law's share of the posterior, between 0 and 1."""

    name: str
    share: float


@dataclass(frozen=True, eq=False)
class LawDraws:
    """Draws from one law's part of the posterior; arrays of shape (draws,).

    Attributes:
        law: The law.
        shapes: A row of its grid for every draw.
        offset: L0, in units of the lowest loss.
        height: A, in units of the lowest loss.
        lowest: The lowest loss.
        scale: Size of noise and wander over what was assumed.
    """

    law: Law
    shapes: FloatArray
    offset: FloatArray
    height: FloatArray
    lowest: float
    scale: FloatArray

    def curves(self, axes: Axes) -> FloatArray:
        """Return the loss at `axes`, one curve a row, shape (draws, n)."""
        falling = self.height[:, None] * self.law.falling(axes, self.shapes)
        loss = self.offset[:, None] + falling + self.law.fixed(axes, self.shapes)
        return self.lowest * np.maximum(loss, LEAST_LOSS)


@dataclass(frozen=True, eq=False)
class Table:
    """One law's posterior, a row for every shape of its grid; arrays of shape (k,).

    Offset, height and their deviations are in units of the lowest loss; `slope` is how the height
    moves with the offset.
    """

    log_weight: FloatArray
    offset: FloatArray
    height: FloatArray
    offset_sd: FloatArray
    height_sd: FloatArray
    slope: FloatArray
    scale: FloatArray


def solve_all(
    laws: Sequence[object], axes: Axes, loss: FloatArray, covariance: FloatArray
) -> tuple[list[Law], list[Table]]:
    """Return the laws that can be solved, and the posterior of each.

    One of a plugin that fails, or whose weights are no numbers, is left out with a warning: the
    others answer without it.

    Args:
        laws: What the plugins gave as laws.
        axes: Where the points are.
        loss: As in `solve`.
        covariance: As in `solve`.
    """
    solved: list[Law] = []
    tables: list[Table] = []
    for law in laws:
        try:
            if not isinstance(law, Law):
                raise TypeError("it is no Law")
            table = solve(law, axes, loss, covariance)
            if np.isnan(table.log_weight).any():
                raise ValueError("its weights are not all numbers")
        except FAULTS as error:
            if law is laws[-1] and not solved:  # it is not the laws
                raise
            name = clean(getattr(law, "name", law), 60)
            why = clean(f"{type(error).__name__}: {error}")
            warnings.warn(f"the law {name!r} is left out: {why}", stacklevel=2)
            continue
        solved.append(law)
        tables.append(table)
    return solved, tables


def solve(law: Law, axes: Axes, loss: FloatArray, covariance: FloatArray) -> Table:
    """Return the posterior of one law.

    Args:
        law: The law.
        axes: Where the points are.
        loss: The points, positive, shape (n,).
        covariance: Of noise and wander, in relative units, shape (n, n).
    """
    loss = loss / loss.min()
    relative = 1.0 / _smooth(loss)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    one: FloatArray = whiten @ relative
    falling: FloatArray = (law.falling(axes, law.shapes) * relative) @ whiten.T
    rest: FloatArray = ((loss[None] - law.fixed(axes, law.shapes)) * relative) @ whiten.T

    precision = 1.0 / OFFSET_SPREAD
    size: FloatArray = (falling**2).sum(axis=1)
    has_height = size > 0
    a11 = float(one @ one) + precision**2
    a12: FloatArray = falling @ one
    a22 = np.where(has_height, size, 1.0)
    z1: FloatArray = rest @ one + precision**2 * OFFSET_MEAN
    z2: FloatArray = (rest * falling).sum(axis=1)
    determinant = np.maximum(a11 * a22 - a12**2, 1e-9 * a11 * a22)
    offset, height = _not_negative(a11, a12, a22, z1, z2, determinant)

    left: FloatArray = rest - offset[:, None] * one - height[:, None] * falling
    squares: FloatArray = (left**2).sum(axis=1) + (precision * (offset - OFFSET_MEAN)) ** 2
    freedom = SCALE_POINTS + loss.size
    volume = np.log(np.where(has_height, determinant / a22, a11))
    return Table(
        law.log_prior - 0.5 * freedom * np.log(SCALE_POINTS + squares) - 0.5 * volume,
        offset,
        height,
        offset_sd=np.sqrt(np.where(has_height, a22 / determinant, 1.0 / a11)),
        height_sd=np.where(has_height, np.sqrt(1.0 / a22), 0.0),
        slope=np.where(has_height, -a12 / a22, 0.0),
        scale=np.sqrt((SCALE_POINTS + squares) / freedom),
    )


def _not_negative(
    a11: float,
    a12: FloatArray,
    a22: FloatArray,
    z1: FloatArray,
    z2: FloatArray,
    determinant: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Solve the normal equations; where a solution is negative, set it to 0 and solve the other."""
    offset = (a22 * z1 - a12 * z2) / determinant
    height = (a11 * z2 - a12 * z1) / determinant
    offset = np.where(height < 0, z1 / a11, offset)
    height = np.maximum(height, 0.0)
    height = np.where(offset < 0, np.maximum(z2 / a22, 0.0), height)
    return np.maximum(offset, 0.0), height


def _smooth(loss: FloatArray) -> FloatArray:
    """Return a running median of three, which keeps one wild point from setting its own weight."""
    if loss.size < 3:
        return loss
    middle = np.median([loss[:-2], loss[1:-1], loss[2:]], axis=0)
    return np.concatenate([loss[:1], middle, loss[-1:]])


def draw(
    laws: list[Law], tables: list[Table], lowest: float, freedom: float
) -> tuple[tuple[LawShare, ...], tuple[LawDraws, ...]]:
    """Draw shapes by weight (systematic resampling) and offset and height given the shape.

    Args:
        laws: The laws.
        tables: The posterior of each.
        lowest: The lowest loss.
        freedom: Degrees of freedom of the scale.

    Returns:
        The share of every law, largest first, and the draws of those that have any.
    """
    joined = np.concatenate([t.log_weight for t in tables])
    weight: FloatArray = np.exp(joined - joined.max())
    weight = weight / weight.sum()
    places = (np.arange(DRAWS) + 0.5) / DRAWS
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), places), weight.size - 1)
    rng = np.random.default_rng(0)
    shares: list[LawShare] = []
    draws: list[LawDraws] = []
    start = 0
    for law, table in zip(laws, tables, strict=True):
        end = start + table.log_weight.size
        shares.append(LawShare(law.name, float(weight[start:end].sum())))
        row = chosen[(chosen >= start) & (chosen < end)] - start
        start = end
        if row.size:
            scale = table.scale[row] * np.sqrt(freedom / rng.chisquare(freedom, row.size))
            first, second = rng.standard_normal((2, row.size)) * scale
            bend = first * table.offset_sd[row]
            offset = np.maximum(table.offset[row] + bend, 0.0)
            height = table.height[row] + table.slope[row] * bend + second * table.height_sd[row]
            height = np.where(table.height[row] > 0, np.maximum(height, 0.0), 0.0)
            draws.append(LawDraws(law, law.shapes[row], offset, height, lowest, scale))
    shares.sort(key=lambda s: -s.share)
    return tuple(shares), tuple(draws)
