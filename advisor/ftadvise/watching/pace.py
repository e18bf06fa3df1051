"""How long an epoch takes: by the times in the log, or by how the log grew while it was watched."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.run import FloatArray, as_floats

if TYPE_CHECKING:
    from ftadvise.watching.asides import Asides

KEPT = 64  # growths of the log
RECENT = 0.5  # of the epochs that are known: a pace changes, and the warm-up is slow
LEAST_GROWTHS = 8  # before the longest silence among them says something
LEAST_QUIET, SO_LONG = 120.0, 3.0  # seconds; times the longest usual silence
QUIET_UNKNOWN = 1800.0  # seconds, where no usual silence is known


@dataclass(frozen=True)
class Pace:
    """How long an epoch takes.

    Attributes:
        seconds_per_epoch: Evaluations included.
        source: `"log"` (its own times) or `"growth"` (how it grew while it was watched).
        silence: Longest time without a new row so far, in seconds.
        rows: How many times it rests on.
    """

    seconds_per_epoch: float
    source: str
    silence: float
    rows: int


def pace_of_log(beside: Asides, steps_per_epoch: float | None) -> Pace | None:
    """Return the pace by the log's own times, over the more recent half of them; None without."""
    done = beside.epoch
    if steps_per_epoch and np.isfinite(beside.step).sum() >= np.isfinite(done).sum():
        done = beside.step / steps_per_epoch
    known = np.isfinite(done)
    return _pace(done[known], beside.seconds[known], "log")


class Growth:
    """Remembers when the log was written, and how far the run was then."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._seen: deque[tuple[float, float]] = deque(maxlen=KEPT)

    def note(self, written: float, epoch: float) -> None:
        """Note that the log stood at `epoch` when it was written.

        Args:
            written: Time of the file, in seconds.
            epoch: Epochs done; one before the last that was noted means another run.
        """
        if self._seen and (epoch < self._seen[-1][1] or written < self._seen[-1][0]):
            self._seen.clear()
        if not self._seen or (written > self._seen[-1][0] and epoch > self._seen[-1][1]):
            self._seen.append((written, epoch))

    def pace(self) -> Pace | None:
        """Return the pace since the watch began; None before the log has grown."""
        if not self._seen:
            return None
        written, epoch = (as_floats(column) for column in zip(*self._seen, strict=True))
        return _pace(epoch, written, "growth")


def usual_silence(of_log: Pace | None, growth: Pace | None, at_saves: bool) -> float | None:
    """Return the longest usual time without a new row, in seconds; None where too little is known.

    Args:
        of_log: The pace by the times in the log.
        growth: The pace by how the log grew.
        at_saves: Whether the log is written with the checkpoints only, whatever its rows say.
    """
    known = [growth.silence] if growth and growth.rows >= LEAST_GROWTHS else []
    if of_log and not at_saves:
        known += [of_log.silence, *([growth.silence] if growth else [])]
    return max(known, default=None)


def is_silent(quiet: float, usual: float | None) -> bool:
    """Say whether `quiet` seconds without a new row are more than is usual for a run."""
    return quiet > (QUIET_UNKNOWN if usual is None else max(LEAST_QUIET, SO_LONG * usual))


def _pace(done: FloatArray, seconds: FloatArray, source: str) -> Pace | None:
    if done.size < 2:
        return None
    middle = done[-1] - RECENT * (done[-1] - done[0])
    before = int(np.flatnonzero(done <= middle)[-1])
    start = min(before, done.size - 2)
    passed, took = float(done[-1] - done[start]), float(seconds[-1] - seconds[start])
    if passed <= 0 or took <= 0 or not math.isfinite(took / passed):
        return None
    gaps = seconds[1:] - seconds[:-1]
    return Pace(took / passed, source, float(gaps.max()), seconds.size)
