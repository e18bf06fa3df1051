"""The loss laws, as pure functions of progress, annealing and passes over the data.

Every law has the form

    L = L0 + A · b(S1) - C · Lmin · annealing + P · Lmin · g(S1)

with the offset L0 and the height A free and not negative, and everything else on a grid, so that
the posterior is a table and a fit costs milliseconds. Lmin is the lowest loss seen, which makes
C and P numbers without a unit that can be compared between runs.

Sources: the power law with offset in LR-weighted progress and the annealing term are those of
Tissue et al. 2024 (arXiv:2408.11029); an additive overfitting term that grows with the passes
over the data is that of Lovelace et al. 2026 (arXiv:2605.01640), here weighted with the learning
rate, because a model cannot memorise while the rate is zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ftadvise.hookspecs import hookimpl
from ftadvise.run import FloatArray

EXPONENTS = (0.3, 0.5, 0.8, 1.2, 2.0, 3.5)
OFFSETS = (0.01, 0.03, 0.1, 0.3)  # in units of the length of the run
ANNEALING = (0.02, 0.05, 0.1, 0.2)
OVERFITTING = (0.01, 0.02, 0.04, 0.06, 0.08, 0.11, 0.15, 0.25)


@dataclass(frozen=True)
class Axes:
    """Where on the way a run is; arrays of shape (n,).

    Attributes:
        progress: S1, epochs at the peak learning rate (see `schedules`).
        annealing: How far the rate has come down, 0 to 1.
        epoch: Passes over the data, whatever the rate.
        unit: Length of the run that was fitted, in epochs; the offsets s0 are shares of it.
    """

    progress: FloatArray
    annealing: FloatArray
    epoch: FloatArray
    unit: float


@dataclass(frozen=True)
class Law:
    """One law with its grid of shapes: what the `register_laws` hook returns.

    Attributes:
        name: Short name in lower case, such as `"power"`.
        formula: The law in the field's notation, with its source.
        shapes: The grid, shape (k, m): one row for each combination of fixed parameters.
        falling: Returns b for every shape, shape (k, n); 1 at the start and falling.
        fixed: Returns the part with fixed coefficients, in units of Lmin, shape (k, n).
        log_prior: Logarithm of the prior weight of every shape, shape (k,).
    """

    name: str
    formula: str
    shapes: FloatArray
    falling: Callable[[Axes, FloatArray], FloatArray]
    fixed: Callable[[Axes, FloatArray], FloatArray]
    log_prior: FloatArray


def power(axes: Axes, shapes: FloatArray) -> FloatArray:
    """Return ``((S1 + s0) / s0)^-α`` for shapes with the columns α and s0."""
    alpha, offset = shapes[:, 0, None], shapes[:, 1, None] * axes.unit
    return ((axes.progress[None] + offset) / offset) ** -alpha


def terms(axes: Axes, shapes: FloatArray) -> FloatArray:
    """Return ``-C · annealing + P · S1`` for shapes with C and P in columns 2 and 3."""
    cost = shapes[:, 2, None] * axes.annealing[None]
    return shapes[:, 3, None] * axes.progress[None] - cost


def _flat(axes: Axes, shapes: FloatArray) -> FloatArray:
    return np.zeros((shapes.shape[0], axes.progress.size))


def _grid(*parameters: tuple[float, ...]) -> FloatArray:
    return np.array(list(itertools.product(*parameters)), dtype=np.float64)


def _log_normal(values: FloatArray, median: float, spread: float) -> FloatArray:
    """Return the logarithm of a log-normal prior over the grid `values`, normalised on it."""
    distinct, places = np.unique(values, return_inverse=True)
    exponents: FloatArray = -0.5 * (np.log(distinct / median) / spread) ** 2
    normalised: FloatArray = exponents - np.log(np.exp(exponents).sum())
    return normalised[places]


# Weakly informative, wider than what fine-tunes run at several lengths show: P lies between 0.04 and
# 0.09 of the lowest loss there (`python benchmarks/annealing_memory.py FAMILIES.jsonl.gz`).
_ANNEALING_PRIOR = (0.05, 0.9)
_OVERFITTING_PRIOR = (0.07, 0.6)
_SHARES = {"constant": 0.02, "power": 0.013, "annealing": 0.085, "overfitting": 0.13, "full": 0.75}


def built_in_laws() -> list[Law]:
    """Return the laws that ftadvise averages over."""
    table = {
        "constant": ("L = L0", ((0.0,), (1.0,), (0.0,), (0.0,))),
        "power": ("L = L0 + A (S1 + s0)^-α", (EXPONENTS, OFFSETS, (0.0,), (0.0,))),
        "annealing": (
            "L = L0 + A (S1 + s0)^-α - C S2",
            (EXPONENTS, OFFSETS, ANNEALING, (0.0,)),
        ),
        "overfitting": (
            "L = L0 + A (S1 + s0)^-α + P S1",
            (EXPONENTS, OFFSETS, (0.0,), OVERFITTING),
        ),
        "full": (
            "L = L0 + A (S1 + s0)^-α - C S2 + P S1",
            (EXPONENTS, OFFSETS, ANNEALING, OVERFITTING),
        ),
    }
    return [_law(name, formula, _grid(*grid)) for name, (formula, grid) in table.items()]


def _law(name: str, formula: str, shapes: FloatArray) -> Law:
    log_prior = np.full(shapes.shape[0], np.log(_SHARES[name]))
    if shapes[:, 2].any():
        log_prior = log_prior + _log_normal(shapes[:, 2], *_ANNEALING_PRIOR)
    if shapes[:, 3].any():
        log_prior = log_prior + _log_normal(shapes[:, 3], *_OVERFITTING_PRIOR)
    if name != "constant":
        log_prior = log_prior - np.log(len(EXPONENTS) * len(OFFSETS))
    return Law(name, formula, shapes, _flat if name == "constant" else power, terms, log_prior)


@hookimpl
def register_laws() -> list[Law]:
    """Give the built-in laws to the posterior."""
    return built_in_laws()
