"""Stop policies as pure functions of the losses seen so far.

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
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ftadvise.errors import UsageError
from ftadvise.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.run import FloatArray, Run, Series

    StopAt = Callable[[Run, int, float], int | None]

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

    Source: The request that the project began with (HOUSE.md, "The example").
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


@dataclass(frozen=True)
class StopPolicy:
    """A stop policy: what the `register_stop_policies` hook returns.

    Attributes:
        name: Short name in lower case, such as `"transformers"`.
        description: One line for `ftadvise plugins` and `ftadvise replay --help`.
        stop_at: Returns the number of evaluations after which the run stops, from 1, or None when
            it never does. Takes the run up to now, the patience and the threshold; counts the
            points of `watched(run)`; looks at nothing that lies in the future of the evaluation
            it stops at. Raises `UsageError` for settings that it has no use for.
        patience: Patience when none is given.
        threshold: Threshold when none is given.
    """

    name: str
    description: str
    stop_at: StopAt
    patience: int = 3
    threshold: float = 0.0


def watched(run: Run) -> Series:
    """Return the curve that stop policies judge: eval loss, or train loss when there is none."""
    return run.eval if len(run.eval) else run.train


def train_loss_at_evals(run: Run) -> FloatArray:
    """Return the mean train loss since the previous evaluation, shape (len(run.eval),).

    A train point belongs to the first evaluation at or after it. The two are joined by step where
    both have one, else by epoch. NaN where no finite train loss was logged in between.
    """
    train, n = run.train.finite(), len(run.eval)
    for at_train, at_eval in ((train.step, run.eval.step), (train.epoch, run.eval.epoch)):
        known = np.isfinite(at_train)
        if known.any() and np.isfinite(at_eval).all():
            bins = np.searchsorted(at_eval, at_train[known], side="left")
            count = np.bincount(bins, minlength=n + 1)[:n]
            total = np.bincount(bins, weights=train.loss[known], minlength=n + 1)[:n]
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.full(n, np.nan)


def _by_loss(rule: Callable[[FloatArray, int, float], IntArray]) -> StopAt:
    """Return `StopPolicy.stop_at` for a rule that needs nothing but the losses."""

    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        losses = watched(run).loss
        stop = int(rule(losses, patience, threshold))
        return stop if stop <= losses.size else None

    return stop_at


def _rises_stop_at(run: Run, patience: int, threshold: float) -> int | None:
    if threshold:
        raise UsageError(f"rises-while-train-falls has no threshold, but was given {threshold}")
    stop = int(rises_while_train_falls(run.eval.loss, train_loss_at_evals(run), patience))
    return stop if stop <= len(run.eval) else None


_DRIFTS = "transformers.EarlyStoppingCallback: the best moves on any gain, however small"
_ADDS_UP = "Keras EarlyStopping: gains below the threshold add up"
_FINITE = "Lightning EarlyStopping: as keras, and stops at the first non-finite loss"
_RISES = "eval loss rises while train loss falls, patience evaluations in a row"
_BUILT_IN = (
    StopPolicy("transformers", _DRIFTS, _by_loss(transformers_stop)),
    StopPolicy("keras", _ADDS_UP, _by_loss(cumulative_stop)),
    StopPolicy("lightning", _FINITE, _by_loss(lightning_stop)),
    StopPolicy("rises-while-train-falls", _RISES, _rises_stop_at, patience=2),
)


@hookimpl
def register_stop_policies() -> list[StopPolicy]:
    """Return the stop policies that ftadvise brings along."""
    return list(_BUILT_IN)
