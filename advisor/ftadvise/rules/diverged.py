"""The run diverged: the loss ended far above its best, or in NaN.

What it means
-------------
The loss ended at least half above its best and above where it began, or jumped to a multiple and
never came back, or ended in NaN. For an eval loss the train loss must have risen too: an eval loss
that rises slowly while the train loss falls is overfitting, however far it goes.

Why it matters
--------------
The model of the last checkpoint is broken, and no number of epochs, patience or threshold mends
it. The rest of the advice describes a run that should not be repeated as it was.

Example
-------
    FT204 error: The run diverged: the train loss ended at 7.4, after a best of 1.21 at epoch 0.8.

What to do
----------
Lower the learning rate (by three to ten times), warm up longer, clip the gradient norm to 1, and
look at the examples just before the rise. Restart from a checkpoint before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ftadvise.numbers import short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import best, blocks, curve, heights, positive_losses, train_trend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.run import FloatArray

CODE = "FT204"
NAME = "diverged"
FAR = 1.5  # times the best
JUMP = 3.0  # times the point before
BURST = 10.0  # times the point before: whatever the train loss does, that is no overfitting


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the loss ended in NaN or far above its best."""
    lost = _ends_non_finite(case)
    if not lost and not _diverged(case):
        return
    points, lowest = case.fit.points, best(case)
    low, last = float(points.loss[lowest]), float(points.loss[-1])
    where = short(float(points.epoch[lowest]))
    if lost:
        text = f"the {lost} ended in a value that is not finite, after a best of {short(low)}"
    else:
        text = f"the {curve(case)} ended at {short(last)}, after a best of {short(low)}"
    yield Finding(
        CODE,
        "error",
        f"The run diverged: {text} at epoch {where}.",
        {"best_loss": low, "last_loss": None if lost else last},
        "Lower the learning rate, warm up longer and clip the gradient norm; restart from a "
        "checkpoint before the rise.",
    )


def _ends_non_finite(case: Case) -> str:
    """Return which loss ends in NaN or infinity; empty for a mere hole in the log."""
    for name, series in (("train loss", case.run.train), ("eval loss", case.run.eval)):
        counted = case.run.nonfinite.get(series.key or "", 0)
        if len(series) and counted and not np.isfinite(series.loss[-1]):
            return name
    return ""


def _diverged(case: Case) -> bool:
    if case.fit.shift:
        return False
    loss = heights(case)
    if case.fit.target == "train":
        return _far_up(loss, case.fit.noise)
    if len(case.run.train.finite()) < 2:  # nothing to tell it from overfitting but its suddenness
        return _far_up(loss, case.fit.noise) and _largest_jump(loss) > FAR
    if _far_up(loss, case.fit.noise) and _largest_jump(loss) > BURST:
        return True
    train = positive_losses(case)
    lifted = train is not None and float(train[-1]) > 1.1 * float(train.min())
    return _far_up(loss, case.fit.noise) and lifted and train_trend(case) > 0


def _far_up(loss: FloatArray, noise: float) -> bool:
    """Say whether the end lies far above the best and above the start, or jumped and stayed."""
    means = blocks(loss)
    low, last = float(means.min()), float(means[-1])
    stays = np.log(float(means[-2:].min()) / low) > 2.5 * noise
    if last < FAR * low or not (stays or np.log(last / low) > 4.0 * noise):
        return False
    jumped = _largest_jump(loss) > JUMP and last > loss[0] / 2
    return bool(last > loss[0] or jumped)


def _largest_jump(loss: FloatArray) -> float:
    """Return the largest rise from one point to the next, as a factor, after the lowest."""
    after = loss[int(loss.argmin()) :]
    return float(np.max(after[1:] / after[:-1], initial=1.0))
