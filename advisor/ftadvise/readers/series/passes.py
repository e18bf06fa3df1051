"""The epochs of a log that tells none, where the caller knows how many steps make one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ftadvise.numbers import short
from ftadvise.readers.series.finish import with_plan
from ftadvise.run import LearningRates, Run, Series, as_floats

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.run import FloatArray

    # From the steps and epochs of a series to what they are.
    Clock = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]

_S = TypeVar("_S", Series, LearningRates)

ASSUMED = "No step or epoch in the "
"""How the note of a reader begins that numbered the points of a log itself."""


def with_steps_per_epoch(run: Run, steps: float) -> Run:
    """Return `run` with epochs of so many optimizer steps, where its log does not tell them.

    Points without a time are one step each. A log that has epochs keeps them.

    Args:
        run: The run.
        steps: Optimizer steps in one pass over the data, above zero.
    """
    assumed = any(note.startswith(ASSUMED) for note in run.notes)
    known = np.concatenate([run.train.epoch, run.eval.epoch])
    if np.isfinite(known).any() and not assumed:
        note = "The log tells its epochs: the steps of an epoch that were given are not used."
        return replace(run, notes=(*run.notes, note))
    lead = run.train if len(run.train) else run.eval
    # Numbered points stand for epochs in the run, one of them or several for each.
    points = len(lead) / float(lead.epoch[-1]) if assumed else 1.0

    def told(step: FloatArray, epoch: FloatArray) -> tuple[FloatArray, FloatArray]:
        step = epoch * points if assumed else step
        return step, step / steps

    notes = tuple(note for note in run.notes if not note.startswith(ASSUMED))
    what = "points of the log are taken as steps" if assumed else "epochs are counted in steps"
    timed = replace(
        run,
        train=_timed(run.train, told),
        eval=_timed(run.eval, told),
        lr=_timed(run.lr, told),
        notes=(*notes, f"As asked for, {what}, {short(steps)} in an epoch."),
    )
    return with_plan(timed, None if assumed else run.planned_epochs, run.planned_steps)


def _timed(series: _S, told: Clock) -> _S:
    step, epoch = told(series.step, series.epoch)
    return replace(series, step=as_floats(step), epoch=as_floats(epoch))
