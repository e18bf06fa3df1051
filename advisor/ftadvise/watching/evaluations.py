"""The evaluations that are new in a log, each with the run as it was then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ftadvise.run import FloatArray, LearningRates, Run, Series
from ftadvise.thinning import epochs_of

MOST_MISSED = 50  # evaluations between two looks that are told one by one
SHARE_OF_PLAN, SHARE = 0.05, 0.1  # of a run without evaluations, between two that are told


def evaluations_since(run: Run, before: Run | None) -> list[Run]:
    """Return the run as it was at each evaluation that is new since `before`, the last one last.

    Of a run that was not seen before, and of one that is another than before, only the latest
    counts as new. Without an eval loss the run itself is returned for every twentieth of the plan
    that it has come further, or without a plan for a tenth of the way so far.

    Args:
        run: The run as it is now.
        before: As it was when something was last told about it; None at first.
    """
    size = len(run.eval)
    if not size:
        return [run] if _is_much_further(run, before) else []
    known = len(before.eval) if before and _goes_on(run.eval, before.eval) else -1
    if before is not None and known == 0 and len(before.train) > len(run.train):
        known = -1
    first = max(known, size - MOST_MISSED) if known >= 0 else size - 1
    return [as_of(run, count) for count in range(first + 1, size + 1)]


def as_of(run: Run, evaluations: int) -> Run:
    """Return the run as its log stood right after so many evaluations."""
    seen = run.eval.take(slice(0, evaluations))
    until = (seen.step[-1], seen.epoch[-1])
    train = run.train.take(_up_to(run.train.step, run.train.epoch, *until))
    rates = _up_to(run.lr.step, run.lr.epoch, *until)
    lr = LearningRates(run.lr.key, run.lr.step[rates], run.lr.epoch[rates], run.lr.rate[rates])
    return replace(run, eval=seen, train=train, lr=lr)


def _is_much_further(run: Run, before: Run | None) -> bool:
    if before is None or len(before.eval) or not _goes_on(run.train, before.train):
        return True
    now, then = (
        epochs_of(run, run.train)[size - 1] for size in (len(run.train), len(before.train))
    )
    return bool(
        now - then >= (SHARE_OF_PLAN * run.planned_epochs if run.planned_epochs else SHARE * then)
    )


def _goes_on(series: Series, before: Series) -> bool:
    """Say whether `series` begins with the points of `before`."""
    size = len(before)
    return size <= len(series) and np.array_equal(series.loss[:size], before.loss, equal_nan=True)


def _up_to(
    step: FloatArray, epoch: FloatArray, last_step: float, last_epoch: float
) -> npt.NDArray[np.bool_]:
    """Return a mask of the points up to a moment, by steps where they are known."""
    if np.isfinite(last_step) and np.isfinite(step).any():
        return step <= last_step
    if np.isfinite(last_epoch) and np.isfinite(epoch).any():
        return epoch <= last_epoch
    return np.ones(step.size, dtype=bool)
