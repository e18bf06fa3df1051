"""Stop rules as pure functions of the losses seen so far.

A live run and the replay of an old one (`ftadvise.replay`) call the same functions. The classic
rules differ in two details:

* What moves the reference. In transformers the best moves on *any* gain, so a run that gains less
  than the threshold at every evaluation is stopped although it improves all the time ("drift").
  In Keras and Lightning only a gain above `min_delta` moves it, so small gains add up.
* What a first loss of NaN does. transformers and Lightning go on from infinity; Keras makes NaN
  its reference, which nothing beats any more.

Losses are arrays whose last axis is time, so that one call judges one run or many draws.
Comparisons are made in float64, as in transformers. Keras and Lightning compare in that of their
tensors, mostly float32, and can differ where a gain equals `min_delta` to seven digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ftadvise.errors import UsageError

if TYPE_CHECKING:
    from ftadvise.run import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def transformers_stop(losses: FloatArray, patience: int, threshold: float = 0.0) -> IntArray:
    """Return where `transformers.EarlyStoppingCallback` stops, counted in evaluations.

    An evaluation improves when it is below the best so far and differs from it by more than
    `threshold` (absolute, both strict). An improvement resets the count of evaluations without
    one; the best moves on any gain. The first evaluation improves whatever it is; when it is NaN
    the best is infinity. NaN never improves after that, and never becomes the best.

    Args:
        losses: Eval losses, shape (..., n).
        patience: Evaluations without improvement before the run stops, at least 1.
        threshold: Gain in loss that must be exceeded, in the unit of the loss, at least 0.

    Returns:
        For each row the number of evaluations done when it stops, or n + 1 where it never does,
        shape (...).

    Raises:
        UsageError: If `patience` or `threshold` is out of range.

    Source: transformers 5.23 `trainer_callback.py`, `EarlyStoppingCallback`, and `trainer.py`,
    `Trainer._determine_best_metric`, which runs after the callback.
    """
    check_settings(patience, threshold)
    losses = np.asarray(losses, dtype=np.float64)
    best = np.full(losses.shape, np.inf)  # before each evaluation
    best[..., 1:] = np.fmin.accumulate(losses, axis=-1)[..., :-1]
    best[np.isnan(best)] = np.inf
    with np.errstate(invalid="ignore", over="ignore"):
        improves = (losses < best) & (np.abs(losses - best) > threshold)
    improves[..., :1] = True
    return _first_wait(improves, patience)


def cumulative_stop(losses: FloatArray, patience: int, min_delta: float = 0.0) -> IntArray:
    """Return where Keras' `EarlyStopping(mode="min")` stops, counted in evaluations.

    As `transformers_stop`, but the reference moves only when loss + `min_delta` is below it, so
    small gains add up. The first evaluation becomes the reference whatever it is: after a first
    loss of NaN nothing improves, and the run stops at evaluation 1 + `patience`.

    `start_from_epoch` is 0 and there is no `baseline`. Keras' default patience of 0 acts like 1.
    For Lightning see `lightning_stop`; the two agree while every loss is finite.

    Arguments, result and errors are those of `transformers_stop`, with `min_delta` as threshold.

    Source: Keras 3.15.1 `callbacks/early_stopping.py` and `callbacks/monitor_callback.py`.
    """
    check_settings(patience, min_delta)
    losses = np.asarray(losses, dtype=np.float64)
    improves = np.ones(losses.shape, dtype=np.bool_)
    if losses.shape[-1]:
        improves[..., 1:] = _cumulative_gains(losses[..., 1:], losses[..., 0], min_delta)
    return _first_wait(improves, patience)


def lightning_stop(
    losses: FloatArray, patience: int, min_delta: float = 0.0, *, check_finite: bool = True
) -> IntArray:
    """Return where Lightning's `EarlyStopping(mode="min")` stops, counted in checks.

    As `cumulative_stop`, but the reference starts at infinity, so that a first loss of NaN or
    +inf counts as one without improvement instead of becoming the reference; and with
    `check_finite` the first non-finite loss stops the run at once.

    Arguments, result and errors are those of `transformers_stop`, with `min_delta` as threshold.

    Source: Lightning 2.6.6 `pytorch/callbacks/early_stopping.py`, without `stopping_threshold`
    and `divergence_threshold`.
    """
    check_settings(patience, min_delta)
    losses = np.asarray(losses, dtype=np.float64)
    unlimited = np.full(losses.shape[:-1], np.inf)
    stops = _first_wait(_cumulative_gains(losses, unlimited, min_delta), patience)
    if check_finite:
        stops = np.minimum(stops, _first_true(~np.isfinite(losses)))
    return stops


def rises_while_train_falls(
    eval_losses: FloatArray, train_losses: FloatArray, patience: int = 2
) -> IntArray:
    """Return where "eval loss rises while train loss falls" stops, counted in evaluations.

    The classic sign of overfitting: at `patience` evaluations in a row the eval loss is above the
    one before while the train loss is below the one before. NaN neither rises nor falls, so it
    ends the row.

    Args:
        eval_losses: Eval losses, shape (..., n).
        train_losses: Train loss at each evaluation (mean since the one before), shape (..., n).
        patience: How many such evaluations in a row are needed, at least 1.

    Returns:
        As `transformers_stop`.

    Raises:
        UsageError: If `patience` is out of range.

    Source: The rule by which people stop by hand when they watch both curves.
    """
    check_settings(patience, 0.0)
    rises = eval_losses[..., 1:] > eval_losses[..., :-1]
    healthy = np.ones(eval_losses.shape, dtype=np.bool_)
    healthy[..., 1:] = ~(rises & (train_losses[..., 1:] < train_losses[..., :-1]))
    return _first_wait(healthy, patience)


def check_settings(patience: int, threshold: float) -> None:
    """Raise `UsageError` unless `patience` is at least 1 and `threshold` finite, at least 0."""
    if patience < 1:
        raise UsageError(f"patience must be at least 1, but is {patience}")
    if not (math.isfinite(threshold) and threshold >= 0):
        raise UsageError(f"threshold must be a finite number, at least 0, but is {threshold}")


def _cumulative_gains(losses: FloatArray, reference: FloatArray, min_delta: float) -> BoolArray:
    """Return where `losses` (..., n) beat a `reference` (...) that moves only when beaten."""
    improves = np.zeros(losses.shape, dtype=np.bool_)
    with np.errstate(over="ignore"):
        raised = losses + min_delta
    for i in range(losses.shape[-1]):
        improves[..., i] = raised[..., i] < reference
        reference = np.where(improves[..., i], losses[..., i], reference)
    return improves


def _first_wait(improves: BoolArray, patience: int) -> IntArray:
    """Return the first evaluation, from 1, with `patience` in a row that do not improve."""
    index = np.arange(improves.shape[-1], dtype=np.int64)
    last = np.maximum.accumulate(np.where(improves, index, -1), axis=-1)
    return _first_true(index - last >= patience)


def _first_true(hits: BoolArray) -> IntArray:
    """Return the place of the first hit on the last axis, from 1; n + 1 where there is none."""
    end = np.ones((*hits.shape[:-1], 1), dtype=np.bool_)
    return np.asarray(np.concatenate([hits, end], axis=-1).argmax(axis=-1) + 1, dtype=np.int64)
