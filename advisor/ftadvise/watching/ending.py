"""Whether a run is over, as far as its log tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ftadvise.watching.progress import is_at_end

if TYPE_CHECKING:
    from ftadvise.watching.asides import Asides
    from ftadvise.watching.progress import Progress

PLANNED = "the planned end is reached"
SUMMED_UP = "the log ends with the summary of the training"


def ended(progress: Progress, beside: Asides, silent: bool) -> str | None:
    """Return why the run is over, or None while it goes on.

    A run that was stopped early is over. One that has done all of its steps is over once its last
    evaluation is there, which comes some time after the last train loss.

    Args:
        progress: The run so far.
        beside: What its log says beside the losses.
        silent: Whether nothing was written for longer than is usual.
    """
    if beside.stopped and beside.early:
        return beside.stopped
    if not beside.stopped and not is_at_end(progress.epoch, progress.step, progress.run):
        return SUMMED_UP if beside.summed_up else None
    if beside.summed_up:
        return PLANNED
    return None if _evaluation_is_due(progress) and not silent else PLANNED


def _evaluation_is_due(progress: Progress) -> bool:
    """Say whether another evaluation is to be expected at the end."""
    last = progress.last
    if progress.target != "eval" or last is None:
        return False
    if is_at_end(last.epoch, last.step, progress.run):
        return False
    at = progress.run.eval.epoch[np.isfinite(progress.run.eval.epoch)]
    apart = float(np.median(np.diff(at))) if at.size > 1 else 0.0
    # 500 steps with an evaluation every 60 end without one, at least in transformers.
    return last.epoch + apart <= (progress.run.planned_epochs or progress.epoch) * 1.001
