"""Several logs: which of them are runs of one fine-tune, so that they speak about one optimum.

Two runs are the same fine-tune when the same data (steps per epoch, the loss that training starts
from) were trained at the same peak rate: then they differ in their length alone, and what each
reached is a measurement of the same curve of loss over number of epochs. Without steps per epoch
two logs are never taken for the same; where a rate or a first loss is unknown, the rest decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ftadvise.numbers import short
from ftadvise.run import Run, Series

SAME_STEPS = 0.01  # relative difference of the steps in an epoch
SAME_START = 0.2  # of the first train loss, which is the mean over the first few steps
SAME_BEFORE = 0.005  # of an eval loss measured before the first step
SAME_LEVEL = 0.3  # of the lowest eval loss, which the length of a run changes
SAME_RATE = 0.15  # of the highest learning rate logged, which may lie past the peak


@dataclass(frozen=True, eq=False)
class Together:
    """Runs that were taken as one fine-tune.

    Attributes:
        runs: The runs, in the order they were given.
        why: What they share, as a phrase.
        others: Runs that were given too and are of another fine-tune.
    """

    runs: tuple[Run, ...]
    why: str
    others: tuple[Run, ...]


def together(runs: Sequence[Run]) -> Together:
    """Return the runs that are the same fine-tune as the last one given, itself included.

    A log that is given several times counts once, at its last place.
    """
    if not runs:
        raise ValueError("no runs were given")
    last = runs[-1]
    runs = once(runs)
    same = [run for run in runs if run is last or same_fine_tune(run, last)]
    others = [run for run in runs if all(run is not one for one in same)]
    return Together(tuple(same), _why(last), tuple(others))


def once(runs: Sequence[Run]) -> list[Run]:
    """Return the runs without those that are given again later, in their order."""
    told = {_told(run): i for i, run in enumerate(runs)}
    return [runs[i] for i in sorted(told.values())]


def same_fine_tune(one: Run, other: Run) -> bool:
    """Say whether two runs are the same fine-tune, perhaps of different length."""
    if not _near(one.steps_per_epoch, other.steps_per_epoch, SAME_STEPS):
        return False
    if len(one.lr) and len(other.lr) and not _near(_peak(one), _peak(other), SAME_RATE):
        return False
    before = _before(one.eval), _before(other.eval)
    if None not in before and not _near(*before, SAME_BEFORE):
        return False
    starts, lowest = (_first(one.train), _first(other.train)), (_low(one.eval), _low(other.eval))
    if None not in lowest and not _near(*lowest, SAME_LEVEL):
        return False
    return _near(*starts, SAME_START) if None not in starts else None not in lowest


def _told(run: Run) -> bytes:
    """Return what a log says of its losses, alike for one log that is given twice."""
    parts = (axis for s in (run.train, run.eval) for axis in (s.step, s.epoch, s.loss))
    return b"|".join(axis.tobytes() for axis in parts)


def _why(run: Run) -> str:
    shared = [f"{short(run.steps_per_epoch)} steps an epoch" if run.steps_per_epoch else ""]
    start, rate = _first(run.train), _peak(run)
    shared.append(f"a first train loss near {short(start)}" if start is not None else "")
    shared.append(f"a learning rate of {rate:.3g}" if rate is not None else "")
    return ", ".join(part for part in shared if part)


def _near(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return False
    return math.isclose(one, other, rel_tol=tolerance)


def _peak(run: Run) -> float | None:
    rates = run.lr.rate[np.isfinite(run.lr.rate)]
    return float(rates.max()) if rates.size else None


def _first(series: Series) -> float | None:
    loss = series.finite().loss
    return float(loss[0]) if loss.size else None


def _before(series: Series) -> float | None:
    """Return the loss before the first step, where it was measured."""
    at_start = np.isfinite(series.loss) & ((series.step == 0) | (series.epoch == 0))
    return float(series.loss[at_start][0]) if at_start.any() else None


def _low(series: Series) -> float | None:
    loss = series.finite().loss
    return float(loss.min()) if loss.size else None
