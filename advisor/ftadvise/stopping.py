"""Stop policies: the rules of `stop_rules` on a run, behind the hook that anyone may implement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import UsageError
from ftadvise.hookspecs import hookimpl
from ftadvise.stop_rules import (
    BoolArray,
    IntArray,
    check_settings,
    cumulative_stop,
    lightning_stop,
    rises_while_train_falls,
    transformers_stop,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.run import FloatArray, Run, Series

    StopAt = Callable[[Run, int, float], int | None]

__all__ = [
    "BoolArray",
    "IntArray",
    "StopPolicy",
    "check_settings",
    "cumulative_stop",
    "lightning_stop",
    "register_stop_policies",
    "rises_while_train_falls",
    "train_loss_at_evals",
    "transformers_stop",
    "watched",
]


@dataclass(frozen=True)
class StopPolicy:
    """A stop policy: what the `register_stop_policies` hook returns.

    Attributes:
        name: Short name in lower case, such as `"transformers"`.
        description: One line for `ftadvise plugins`.
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
