"""Three ways in which the next run may go, with their probabilities and their curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise.advice import Scenario
from ftadvise.calm import calmed
from ftadvise.fitting import Fit
from ftadvise.measured import next_run
from ftadvise.patience import SMALL_LOSS, Rehearsal, StopRule, evals_per_epoch, rehearse
from ftadvise.run import FloatArray
from ftadvise.stopping import BoolArray, transformers_stop

EARLY = 2 / 3  # of the run: what has converged by then has converged early
PATH_POINTS = 80


@dataclass(frozen=True, eq=False)
class Path:
    """The course of one scenario: the median and the middle 90 % of its draws, without noise.

    Attributes:
        name: Of the scenario.
        epochs: Rising, shape (n,).
        median: Loss, shape (n,).
        low: 5 % quantile, shape (n,).
        high: 95 % quantile, shape (n,).
    """

    name: str
    epochs: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray


def scenarios(rehearsal: Rehearsal, rule: StopRule) -> tuple[Scenario, ...]:
    """Return the three scenarios of the next run, by its draws."""
    size = rehearsal.epochs.size
    stops = transformers_stop(rehearsal.logged, rule.patience, rule.threshold)
    ends = rehearsal.epochs[np.minimum(stops, size) - 1]
    best_epochs = rehearsal.epochs[rehearsal.curves.argmin(axis=1)]
    return tuple(
        _scenario(name, among, best_epochs, ends) for name, among in sort_draws(rehearsal).items()
    )


def sort_draws(rehearsal: Rehearsal) -> dict[str, BoolArray]:
    """Return which draws belong to each scenario, masks of shape (draws,).

    Early convergence: within half a percent of its best in the first two thirds of the run.
    Continued improvement: best at the last evaluation, and not converged early. Normal
    convergence: the rest.
    """
    curves = rehearsal.curves - rehearsal.shift
    size = curves.shape[1]
    close = curves <= (1.0 + SMALL_LOSS) * curves.min(axis=1, keepdims=True)
    early = close.argmax(axis=1) + 1 <= EARLY * size
    continued = (curves.argmin(axis=1) == size - 1) & ~early
    return {
        "normal convergence": ~early & ~continued,
        "continued improvement": continued,
        "early convergence": early,
    }


def paths(fitted: Fit, epochs: int) -> tuple[Path, ...]:
    """Return the courses of the scenarios of a run of `epochs` epochs; those that have any draw.

    The draws are those that `advise` looked at, at more places. For drawing: a millisecond.
    """
    calm = calmed(fitted)
    per_epoch = evals_per_epoch(epochs) if fitted.run.steps_per_epoch else 1
    times: FloatArray = np.linspace(0.0, float(epochs), PATH_POINTS + 1)[1:]
    curves = next_run(calm, times, float(epochs))
    found: list[Path] = []
    for name, among in sort_draws(rehearse(calm, epochs, per_epoch)).items():
        if among.any():
            low, middle, high = np.quantile(curves[among], [0.05, 0.5, 0.95], axis=0)
            found.append(Path(name, times, middle, low, high))
    return tuple(found)


def _scenario(
    name: str,
    among: BoolArray,
    best: FloatArray,
    ends: FloatArray,
) -> Scenario:
    if not among.any():
        return Scenario(name, 0.0, None, None)
    return Scenario(
        name,
        float(among.mean()),
        float(np.quantile(best[among], 0.5, method="nearest")),
        float(np.quantile(ends[among], 0.5, method="nearest")),
    )
