"""What the rows of a log tell: the `log_history` of a transformers Trainer, and others like it.

Pure functions of them, so that a run that was resumed knows what the run before it knew.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ftadvise.run import LearningRates, Run, Series, as_floats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Rows = Sequence[Mapping[str, Any]]


def run_of(log_history: Rows, metric: str = "eval_loss") -> Run:
    """Return a history as a `Run`.

    Of several evaluations at one step (an evaluation after training, one that a resume had to
    redo) the last counts.

    Args:
        log_history: `state.log_history`, or rows with the same keys.
        metric: Name of the eval loss in it.
    """
    evals = {row.get("step"): row for row in log_history if metric in row}
    train = [row for row in log_history if "loss" in row]
    return Run(
        train=_series("loss", train),
        eval=_series(metric, list(evals.values())),
        lr=_rates(log_history),
    )


def best_of(log_history: Rows, metric: str = "eval_loss") -> dict[str, Any] | None:
    """Return `eval_loss`, `epoch` and `step` of the lowest finite eval loss; the first of equals."""
    evals = run_of(log_history, metric).eval.finite()
    if not len(evals):
        return None
    place = int(evals.loss.argmin())
    return {
        "eval_loss": float(evals.loss[place]),
        "epoch": float(evals.epoch[place]),
        "step": whole(evals.step[place]),
    }


def whole(step: float) -> int | None:
    """Return a step as an integer, or None where it is not known."""
    return int(step) if math.isfinite(step) else None


def _rates(log_history: Rows) -> LearningRates:
    rows = [row for row in log_history if "learning_rate" in row]
    step, epoch, rate = (
        as_floats([row.get(key) for row in rows]) for key in ("step", "epoch", "learning_rate")
    )
    return LearningRates("learning_rate", step, epoch, rate)


def _series(key: str, rows: Rows) -> Series:
    return Series(
        key,
        as_floats([row.get("step") for row in rows]),
        as_floats([row.get("epoch") for row in rows]),
        as_floats([row[key] for row in rows]),
    )
