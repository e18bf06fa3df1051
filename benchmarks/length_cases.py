"""Forecasts of runs of another length than the one in hand, with constants that never saw them.

For every data set in turn the constants of `ftadvise.optimum` are learned from all others; each log
of that data set, as the run in hand, is then asked for the lowest eval loss of the runs of its
family that have other lengths, or for the loss that its runs end with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import numpy as np
from families import Family
from horizon_left_out import constants
from horizon_model import Row, rows

import ftadvise
from ftadvise import optimum as optimum_room
from ftadvise import priors
from ftadvise.fitting import Fit
from ftadvise.lengths import WATCHED, expected_run, nearest
from ftadvise.run import FloatArray, Run

SEEN = (3, 5, 7, 10)  # lengths of the run in hand


@dataclass(frozen=True, eq=False)
class Cases:
    """Lengths that were forecast from the log of another; arrays of shape (n,).

    Attributes:
        dataset: The data set.
        family: A number for every family.
        ratio: Length that was forecast over that of the run in hand.
        nearest: Log of the same over the nearest length whose log was given.
        carried: Log of the lowest eval loss of the run in hand, or of its last.
        reached: Log of the same of the run that was forecast.
        draws: The forecast without doubt, as logs of what `expected_run` draws, shape (n, draws).
    """

    dataset: np.ndarray[tuple[int], np.dtype[np.str_]]
    family: np.ndarray[tuple[int], np.dtype[np.int64]]
    ratio: FloatArray
    nearest: FloatArray
    carried: FloatArray
    reached: FloatArray
    draws: FloatArray

    def take(self, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Cases:
        """Return the cases where `chosen` is True."""
        return Cases(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def doubted(self, doubt: FloatArray) -> FloatArray:
        """Return the draws with doubt, as `ftadvise.lengths.another_run` has it.

        Args:
            doubt: Standard deviation of log loss, shape (n,).
        """
        normal = np.random.default_rng(2).standard_normal(self.draws.shape[1])
        moved: FloatArray = self.draws + doubt[:, None] * normal
        return moved


def cases(
    families: list[Family],
    known: list[Row] | None,
    past: dict[int, int] | None = None,
    at_end: bool = False,
) -> Cases:
    """Forecast every other length from every log of these families.

    Args:
        families: Families that are asked about.
        known: Rows to learn from, those of the data set in question left out; None for the shipped
            constants.
        past: Length of an earlier run whose log is given as well, by the length of the run in hand.
        at_end: Forecast the last loss as it will be logged instead of the lowest, and that of a run
            as long as the one in hand as well.
    """
    number = {id(family): place for place, family in enumerate(families)}
    found: list[tuple[str, int, float, float, float, float, FloatArray]] = []
    for row, fitted in _fits(families, known, past or {}):
        family = row.family
        carried = _log_loss(family.runs[row.seen], at_end)
        for epochs, run in sorted(family.runs.items()):
            if at_end or epochs != row.seen:
                ratio, apart = epochs / row.seen, nearest(fitted, epochs)
                draws = _last(fitted, epochs) if at_end else _lowest(fitted, epochs)
                reached, place = _log_loss(run, at_end), number[id(family)]
                found.append((family.dataset, place, ratio, apart, carried, reached, draws))
    return Cases(*(np.array(column) for column in zip(*found, strict=True)))


def _fits(
    families: list[Family], known: list[Row] | None, past: dict[int, int]
) -> Iterator[tuple[Row, Fit]]:
    """Fit every log, with constants that were learned without its data set."""
    table = [row for row in rows(families) if row.seen in SEEN and not row.held]
    for name in sorted({row.family.dataset for row in table}):
        if known is None:
            found = priors.load("horizon")
        else:
            found = constants([row for row in known if row.family.dataset != name])
        with mock.patch.object(optimum_room, "load", lambda _, found=found: found):
            for row in table:
                if row.family.dataset == name:
                    runs = row.family.runs
                    told = [run for e, run in runs.items() if e == past.get(int(row.seen))]
                    yield row, ftadvise.fit(runs[row.seen], past=told)


def _log_loss(run: Run, at_end: bool) -> float:
    return math.log(float(run.eval.loss[-1] if at_end else run.eval.loss.min()))


def _lowest(fitted: Fit, epochs: float) -> FloatArray:
    times = epochs * WATCHED
    lowest = expected_run(fitted, times, epochs).min(axis=1) - fitted.shift
    logs: FloatArray = np.log(np.maximum(lowest, 1e-12))
    return logs


def _last(fitted: Fit, epochs: float) -> FloatArray:
    """Draw the logarithm of the last loss with the noise of an evaluation, as `forecast` does."""
    last = expected_run(fitted, np.array([epochs]), epochs)[:, 0] - fitted.shift
    normal = np.random.default_rng(3).standard_normal(last.size)
    logs: FloatArray = np.log(np.maximum(last * (1.0 + fitted.noise * normal), 1e-12))
    return logs
