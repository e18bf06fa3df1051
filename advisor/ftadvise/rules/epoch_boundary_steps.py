"""The train loss falls in steps at the ends of epochs: the model memorises.

What it means
-------------
Where a new pass over the data begins, the train loss drops at once, and stays level within the
pass: the model recognises examples that it has seen once.

Why it matters
--------------
It is normal for large models on small data, not a bug in the data loader. But a train loss that
falls this way says nothing about unseen text, and large steps announce overfitting: the eval loss
often turns up an epoch or two later. It shows without any eval loss.

Example
-------
    FT205 info: The train loss falls in steps where epochs begin: by 21 % on average over 2 epoch
    ends, against 1 % in between. The model recognises examples it has seen.

What to do
----------
Watch the eval loss rather than the train loss. If it turns up after the first step, train fewer
epochs, or add data.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.numbers import percent
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import axis_known
from ftadvise.thinning import epochs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.run import FloatArray

CODE = "FT205"
NAME = "epoch-boundary-steps"
SMALLEST = 0.03  # of the loss
SURE = 3.0  # standard errors
MOST_ENDS = 50
PER_EPOCH = 4


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the loss falls more across the ends of epochs than in between."""
    epoch, loss = _train_points(case)
    if epoch.size < 2 * PER_EPOCH or epoch.size < PER_EPOCH * (epoch[-1] - epoch[0]):
        return
    first, last = math.ceil(float(epoch[0])), math.ceil(float(epoch[-1]))
    ends = np.arange(max(1, first), last, dtype=np.float64)[:MOST_ENDS]
    if ends.size < 2:
        return
    at_ends = _drops(epoch, loss, ends)
    between = _drops(epoch, loss, np.concatenate([ends, ends[-1:] + 1]) - 0.5)
    if at_ends.size < 2 or between.size < 2:
        return
    step, usual = float(at_ends.mean()), float(np.median(between))
    scatter = np.concatenate([at_ends - step, between - usual])
    error = float(scatter.std()) * math.sqrt(1 / at_ends.size + 1 / between.size)
    if step < SMALLEST or step - usual < max(SMALLEST, SURE * error):
        return
    yield Finding(
        CODE,
        "info",
        f"The train loss falls in steps where epochs begin: by {percent(step)} on average over "
        f"{at_ends.size} epoch ends, against {percent(usual)} in between. The model recognises "
        "examples that it has seen.",
        {"step": step, "between": usual, "epoch_ends": at_ends.size, "error": error},
        "Judge by the eval loss: the train loss now measures memory.",
    )


def _train_points(case: Case) -> tuple[FloatArray, FloatArray]:
    """Return epochs and losses; nothing where epochs are unknown or losses not positive."""
    run = case.run
    epoch, loss = epochs_of(run, run.train), run.train.loss
    usable = np.isfinite(epoch) & np.isfinite(loss) & (epoch > 0)
    epoch, loss = epoch[usable], loss[usable]
    if not axis_known(case) or not loss.size or float(loss.min()) <= 0:
        return loss[:0], loss[:0]
    order = np.argsort(epoch, kind="stable")
    return epoch[order], loss[order]


def _drops(epoch: FloatArray, loss: FloatArray, places: FloatArray) -> FloatArray:
    """Return how far the loss falls across each place, as a share of the mean before it.

    Half an epoch on both sides; the first point after the place is left out when it averages over
    batches from before it, as logged train losses do.
    """
    spacing = float(np.median(np.diff(epoch)))
    starts = np.searchsorted(epoch, places - 0.5 + 1e-6)
    middles = np.searchsorted(epoch, places + 0.02 * spacing, side="right")
    ends = np.searchsorted(epoch, places + 0.5 + 1e-6)
    drops: list[float] = []
    for place, start, middle, end in zip(places, starts, middles, ends, strict=True):
        mixed = middle < end and epoch[middle] - place < 0.98 * spacing
        before, after = loss[start:middle], loss[middle + mixed : end]
        if before.size and after.size:
            drops.append(1.0 - float(after.mean()) / float(before.mean()))
    return np.array(drops)
