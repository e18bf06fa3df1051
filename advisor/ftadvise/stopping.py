"""Stop policies as pure functions of the losses seen so far, and their replay on a finished log.

A live run and the replay of an old one call the same functions. The three classic rules differ in
one detail that decides whether a slow but steady gain counts:

* `transformers.EarlyStoppingCallback` compares with the best loss so far, and the best moves on
  *any* gain. A run that gains less than the threshold at every evaluation is stopped although it
  improves all the time ("drift").
* Keras and Lightning move their reference only when the gain exceeds `min_delta`, so small gains
  add up.

Losses are arrays whose last axis is time, so that one call judges one run or many draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ftadvise.errors import UsageError
from ftadvise.hookspecs import hookimpl
from ftadvise.run import FloatArray, Run

IntArray = npt.NDArray[np.int64]


def transformers_stop(losses: FloatArray, patience: int, threshold: float = 0.0) -> IntArray:
    """Return where `transformers.EarlyStoppingCallback` stops, counted in evaluations.

    An evaluation improves when it is below the best so far by more than `threshold` (both
    strict). The count of evaluations without improvement is reset by an improvement; the best
    moves on any gain. NaN never improves. The first evaluation always improves.

    Args:
        losses: Eval losses, shape (..., n).
        patience: Evaluations without improvement before the run stops, at least 1.
        threshold: Smallest gain in loss that counts.

    Returns:
        For each row the number of evaluations done when it stops, or n + 1 where it never does,
        shape (...).

    Source: transformers 5.23 `trainer_callback.py`, `EarlyStoppingCallback` and
    `Trainer._determine_best_metric`.
    """
    return _count(losses, patience, threshold, reference_moves_on_any_gain=True)


def cumulative_stop(losses: FloatArray, patience: int, min_delta: float = 0.0) -> IntArray:
    """Return where Keras' and Lightning's `EarlyStopping` stop, counted in evaluations.

    As `transformers_stop`, but the reference moves only when the gain exceeds `min_delta`, so
    small gains add up. (Lightning also stops at once on a non-finite loss; see `lightning_stop`.)

    Source: Keras 3.15 `callbacks/early_stopping.py`; Lightning 2.6 `callbacks/early_stopping.py`.
    """
    return _count(losses, patience, min_delta, reference_moves_on_any_gain=False)


def lightning_stop(losses: FloatArray, patience: int, min_delta: float = 0.0) -> IntArray:
    """Return where Lightning's `EarlyStopping` with `check_finite=True` stops.

    As `cumulative_stop`, but the first non-finite loss stops the run at once.
    """
    stops = cumulative_stop(losses, patience, min_delta)
    bad = ~np.isfinite(losses)
    first_bad = np.where(bad.any(axis=-1), bad.argmax(axis=-1) + 1, losses.shape[-1] + 1)
    return np.minimum(stops, first_bad).astype(np.int64)


def _count(
    losses: FloatArray, patience: int, threshold: float, *, reference_moves_on_any_gain: bool
) -> IntArray:
    if patience < 1:
        raise UsageError(f"patience must be at least 1, but is {patience}")
    n = losses.shape[-1]
    reference = np.full(losses.shape[:-1], np.nan)
    waited = np.zeros(losses.shape[:-1], dtype=np.int64)
    stops = np.full(losses.shape[:-1], n + 1, dtype=np.int64)
    for i in range(n):
        loss = losses[..., i]
        gains = np.isnan(reference) | (loss < reference)
        improves = np.isnan(reference) | ((loss < reference) & (reference - loss > threshold))
        waited = np.where(improves, 0, waited + 1)
        moves = gains if reference_moves_on_any_gain else improves
        reference = np.where(moves, loss, reference)
        stops = np.where((waited >= patience) & (stops > n), i + 1, stops)
    return stops


def rises_while_train_falls(
    eval_losses: FloatArray, train_losses: FloatArray, patience: int = 2
) -> IntArray:
    """Return where "eval loss rises while train loss falls" stops, counted in evaluations.

    The classic sign of overfitting: at `patience` evaluations in a row the eval loss is above the
    one before while the train loss is below the one before.

    Args:
        eval_losses: Eval losses, shape (..., n).
        train_losses: Train loss at each evaluation (mean since the one before), shape (..., n).
        patience: How many such evaluations in a row are needed.

    Returns:
        As `transformers_stop`.
    """
    n = eval_losses.shape[-1]
    signs = (np.diff(eval_losses) > 0) & (np.diff(train_losses) < 0)
    in_a_row = np.zeros(eval_losses.shape[:-1], dtype=np.int64)
    stops = np.full(eval_losses.shape[:-1], n + 1, dtype=np.int64)
    for i in range(n - 1):
        in_a_row = np.where(signs[..., i], in_a_row + 1, 0)
        stops = np.where((in_a_row >= patience) & (stops > n), i + 2, stops)
    return stops


@dataclass(frozen=True)
class StopPolicy:
    """A stop policy: what the `register_stop_policies` hook returns.

    Attributes:
        name: Short name in lower case, such as `"transformers"`.
        description: One line for `ftadvise plugins` and `ftadvise replay --help`.
        stop_at: Returns the number of evaluations after which the run stops, or None when it
            never does. Takes the run up to now, the patience and the threshold, and looks at
            nothing that lies in the future of the evaluation it stops at.
        patience: Patience when none is given.
        threshold: Threshold when none is given.
    """

    name: str
    description: str
    stop_at: Callable[[Run, int, float], int | None]
    patience: int = 3
    threshold: float = 0.0


@dataclass(frozen=True)
class Replay:
    """What a stop policy would have done on a finished log.

    Attributes:
        policy: The policy with its settings, such as `"transformers:patience=3,threshold=0"`.
        stopped: Whether it would have stopped before the end of the log.
        stop_epoch: Epoch of the evaluation at which it would have stopped; the last evaluation's
            when it would not.
        best_epoch: Epoch of the best evaluation up to there, the checkpoint to keep.
        best_loss: Loss at `best_epoch`.
        evals_spent: Evaluations done when it stops.
        evals_total: Evaluations in the log.
        regret: best_loss over the best loss of the whole log, minus one.
    """

    policy: str
    stopped: bool
    stop_epoch: float
    best_epoch: float
    best_loss: float
    evals_spent: int
    evals_total: int
    regret: float
