"""Three ways in which the next run may go, with their probabilities."""

from __future__ import annotations

import numpy as np

from ftadvise.advice import Scenario
from ftadvise.patience import SMALL_LOSS, Rehearsal, StopRule
from ftadvise.run import FloatArray
from ftadvise.stopping import transformers_stop

EARLY = 2 / 3  # of the run: what has converged by then has converged early


def scenarios(rehearsal: Rehearsal, rule: StopRule) -> tuple[Scenario, ...]:
    """Sort the draws of the next run into three scenarios.

    Early convergence: within half a percent of its best in the first two thirds of the run.
    Continued improvement: best at the last evaluation, and not converged early. Normal
    convergence: the rest.
    """
    curves = rehearsal.curves - rehearsal.shift
    size = curves.shape[1]
    best = curves.argmin(axis=1)
    close = curves <= (1.0 + SMALL_LOSS) * curves.min(axis=1, keepdims=True)
    early = close.argmax(axis=1) + 1 <= EARLY * size
    continued = (best == size - 1) & ~early
    stops = transformers_stop(rehearsal.logged, rule.patience, rule.threshold)
    ends = rehearsal.epochs[np.minimum(stops, size) - 1]
    best_epochs = rehearsal.epochs[best]
    return (
        _scenario("normal convergence", ~early & ~continued, best_epochs, ends),
        _scenario("continued improvement", continued, best_epochs, ends),
        _scenario("early convergence", early, best_epochs, ends),
    )


def _scenario(
    name: str,
    among: np.ndarray[tuple[int], np.dtype[np.bool_]],
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
