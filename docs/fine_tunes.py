"""What the pictures show, computed from the fine-tunes in `benchmarks/finetunes`.

Whatever was learned is shown by constants that had not seen the data set in question.
"""

from __future__ import annotations

import functools
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import ftadvise
from ftadvise import optimum as optimum_room
from ftadvise.fitting import Fit
from ftadvise.forecasting import forecast_from
from ftadvise.horizon import choose_epochs
from ftadvise.lengths import another_run
from ftadvise.run import FloatArray, Run

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
FILE = BENCHMARKS / "finetunes" / "families.jsonl.gz"
SHORTEST = 2  # epochs: a log has to be longer to be asked about


@dataclass(frozen=True)
class Told:
    """A run of another length, as it was forecast and as it was.

    Attributes:
        epochs: Its length.
        low: 5 % quantile of the forecast of its last eval loss.
        median: Its median.
        high: 95 % quantile.
        actual: What the loss was.
        level: Share of the forecast's draws that lie below it, 0 to 1.
    """

    epochs: float
    low: float
    median: float
    high: float
    actual: float
    level: float


@dataclass(frozen=True)
class Log:
    """One log and what was forecast from it.

    Attributes:
        data_set: The data set.
        seen: Its length in epochs.
        last: Its last eval loss.
        chosen: Number of epochs that was advised.
        told: The runs of other lengths.
    """

    data_set: str
    seen: float
    last: float
    chosen: int
    told: tuple[Told, ...]


@dataclass(frozen=True)
class Gaps:
    """All logs of runs of 3, 5, 7 and 10 epochs; arrays of shape (n,).

    Attributes:
        gap: Log train loss over eval loss at the end.
        target: Log of the best number of epochs over that of the run.
        learned: The same as it was learned.
        seen: Length in epochs.
    """

    gap: FloatArray
    target: FloatArray
    learned: FloatArray
    seen: FloatArray


def bench(name: str) -> Any:
    """Return a module of `benchmarks`."""
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    return importlib.import_module(name)


def families() -> list[Any]:
    """Return all families, as `benchmarks/families.py` has them."""
    return list(bench("families").load(str(FILE)))


def gaps(known: list[Any]) -> Gaps:
    """Return the gap at the end of every log, and how far its optimum lies."""
    model = bench("horizon_model")
    rows, learned = model.left_out(model.rows(known))
    seen = np.array([row.seen for row in rows])
    asked = seen > SHORTEST
    length = np.log(seen)
    gap = np.array([row.features["gap_end"] for row in rows])
    target = np.array([row.target for row in rows]) - length
    return Gaps(gap[asked], target[asked], (learned - length)[asked], seen[asked])


def logs(known: list[Any]) -> list[Log]:
    """Forecast the runs of all other lengths from every log."""
    table = bench("horizon_model").rows(known)
    found: list[Log] = []
    for name in sorted({row.family.dataset for row in table}):
        others = [row for row in table if row.family.dataset != name]
        learned = bench("horizon_left_out").constants(others)
        load = functools.partial(_same, learned)
        with mock.patch.object(optimum_room, "load", load):
            here = [row for row in table if row.family.dataset == name]
            found += [_log(row) for row in here if row.seen > SHORTEST]
    return found


def _same(learned: dict[str, Any], _: str) -> dict[str, Any]:
    return learned


def best_epoch(run: Run) -> float:
    """Return the epoch of a run's lowest eval loss."""
    return float(run.eval.epoch[run.eval.loss.argmin()])


def _log(row: Any) -> Log:
    family, seen = row.family, row.seen
    run = family.runs[seen]
    fitted = ftadvise.fit(run)
    told = [
        _told(fitted, length, float(other.eval.loss[-1]))
        for length, other in sorted(family.runs.items())
        if length != seen
    ]
    chosen = choose_epochs(fitted, best_epoch(run)).chosen
    return Log(family.dataset, seen, float(run.eval.loss[-1]), chosen, tuple(told))


def _told(fitted: Fit, length: float, actual: float) -> Told:
    found = forecast_from(fitted, length, length)
    draws = another_run(fitted, np.array([length]), length)[:, 0]
    normal = np.random.default_rng(3).standard_normal(draws.size)
    scattered = draws + (draws - fitted.shift) * fitted.noise * normal
    level = float((scattered < actual).mean())
    return Told(length, found.low, found.median, found.high, actual, level)
