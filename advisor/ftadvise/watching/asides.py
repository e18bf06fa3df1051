"""What a log says beside its losses: times, tokens, and whether the run is over.

A `Run` holds losses alone, so this looks at the rows of a JSON log once more. What other formats
say about time is not known here, and a watcher measures it itself.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.json_logs import documents
from ftadvise.readers.series.tables import array_of, number
from ftadvise.readers.source import Source
from ftadvise.run import FloatArray, as_floats
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ftadvise.run import Run

MAX_BYTES = 64 * 1024 * 1024  # a longer log is not read a second time
TAIL_BYTES = 1024 * 1024  # of longer JSON Lines only the end is
MOST_ROWS = 2000  # the last of them say how fast it is now
LEAST_TIMED = 3  # rows
_METRICS = "training_metrics.json"
_PLANNED_END = "planned end"  # the reason that `ftadvise train` writes there
_ROWS = ("log_history", "history", "logs", "metrics")
_STEP = ("step", "global_step", "current_steps", "_step", "iteration", "iter")
_TOKENS = ("tokens", "num_input_tokens_seen", "total_tokens", "tokens_seen")
_SPEED = ("tokens_per_second", "train_tokens_per_second")
_TIME = (
    "train_runtime",
    "elapsed",
    "elapsed_seconds",
    "elapsed_time",
    "time_elapsed",
    "_runtime",
    "timestamp",
    "_timestamp",
    "wall_time",
    "datetime",
    "time",
)
_CLOCK = re.compile(r"(?:(\d{1,5}) days?, )?(\d{1,5}):(\d\d):(\d\d(?:\.\d+)?)$")
_SINCE_1970 = 1e8  # larger numbers of seconds are moments and no durations
_MILLISECONDS = 1e11  # larger ones are milliseconds


@dataclass(frozen=True, eq=False)
class Asides:
    """What stands beside the losses; arrays are float64 and of one length.

    Attributes:
        step: Optimizer steps of the rows with a time; NaN where unknown.
        epoch: Their epochs; NaN where unknown.
        seconds: Their times, rising, from any origin; empty when the log has none.
        tokens: Tokens seen so far; None where the log does not say.
        stopped: Why the run ended, cleaned, by `training_metrics.json`; None where it has not.
        early: Whether it was stopped before the end that had been planned.
        summed_up: Whether the log ends with the summary that transformers writes after training.
    """

    step: FloatArray
    epoch: FloatArray
    seconds: FloatArray
    tokens: float | None = None
    stopped: str | None = None
    early: bool = False
    summed_up: bool = False


NOTHING = Asides(as_floats([]), as_floats([]), as_floats([]))


def asides(file: Path, run: Run) -> Asides:
    """Return what the log at `file` says beside the losses of `run`; never raises.

    Args:
        file: The log that `run` was read from.
        run: Tells whether a `training_metrics.json` beside it is of the same run.
    """
    rows, document = _rows_of(file)
    if file.name == "trainer_state.json":
        document = _rows_of(file.with_name(_METRICS))[1]
    stopped, early = _stopped(document, run)
    step, epoch, seconds = _times(rows)
    return Asides(step, epoch, seconds, _tokens(rows), stopped, early, _is_summed_up(rows))


def _rows_of(file: Path) -> tuple[Sequence[dict[str, Any]], dict[str, Any]]:
    """Return the last rows of a JSON log, and the object they stand in (empty for bare rows)."""
    try:
        size = file.stat().st_size if file.is_file() else 0
        if size > TAIL_BYTES and (rows := _tail(file, size)):
            return rows[-MOST_ROWS:], {}
        if not 0 < size <= MAX_BYTES:
            return (), {}
        source = Source(file)
        values = documents.parse(source).values if documents.sniff(source) else []
    except (LogError, OSError, ValueError, MemoryError):
        return (), {}
    if len(values) != 1:
        return _objects(values[-MOST_ROWS:]), {}
    value: object = values[0]
    if isinstance(value, list):
        return _objects(array_of(cast("object", value))[-MOST_ROWS:]), {}
    if not isinstance(value, dict):
        return (), {}
    document = cast("dict[str, Any]", value)
    for name in _ROWS:
        if isinstance(document.get(name), list):
            return _objects(array_of(document[name])[-MOST_ROWS:]), document
    return [document], document  # a log of one line so far


def _tail(file: Path, size: int) -> list[dict[str, Any]]:
    """Return the rows at the end of long JSON Lines; none where the file is something else."""
    with file.open("rb") as log:
        first = log.readline(TAIL_BYTES)
        log.seek(size - TAIL_BYTES)
        last = log.read(TAIL_BYTES).split(b"\n")[1:]  # the first is cut off
    return _objects(_json(line) for line in last) if isinstance(_json(first), dict) else []


def _json(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _objects(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", value) for value in values if isinstance(value, dict)]


def _stopped(document: dict[str, Any], run: Run) -> tuple[str | None, bool]:
    """Return why the run ended and whether that was early; what is of another run is left out."""
    found = document.get("stopped")
    if not isinstance(found, dict):
        return None, False
    stopped = cast("dict[str, Any]", found)
    reason, step = clean(stopped.get("reason") or "stopped", 300), number(stopped.get("step"))
    reached = _last(np.concatenate([run.train.step, run.eval.step]))
    if step is not None and math.isfinite(reached) and step < reached:
        return None, False
    return reason, reason != _PLANNED_END


def _is_summed_up(rows: Sequence[dict[str, Any]]) -> bool:
    return bool(rows) and "train_loss" in rows[-1] and "train_runtime" in rows[-1]


def _tokens(rows: Sequence[dict[str, Any]]) -> float | None:
    for name in _TOKENS:
        for row in reversed(rows):
            seen = number(row.get(name))
            if seen is not None and math.isfinite(seen) and seen > 0:
                return seen
    return None


def _times(rows: Sequence[dict[str, Any]]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return steps, epochs and times of the rows since the log was last started or resumed."""
    step, epoch = _column(rows, _STEP), _column(rows, ("epoch",))
    for name in (*_TIME, ""):
        seconds = _seconds(rows, name) if name else _by_speed(rows)
        known = np.isfinite(seconds) & (np.isfinite(step) | np.isfinite(epoch))
        parts = tuple(part[known] for part in (step, epoch, seconds))
        start = max(_last_fall(part) for part in parts)
        step_, epoch_, seconds_ = (as_floats(part[start:]) for part in parts)
        if seconds_.size < LEAST_TIMED or seconds_[-1] <= seconds_[0]:
            continue
        if name != "time" or seconds_[0] > _SINCE_1970:  # else often what one step took
            return step_, epoch_, seconds_
    return NOTHING.step, NOTHING.epoch, NOTHING.seconds


def _column(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> FloatArray:
    name = next((n for n in names if any(number(row.get(n)) is not None for row in rows)), "")
    found = (number(row.get(name)) for row in rows)
    return as_floats([x if x is not None and math.isfinite(x) else math.nan for x in found])


def _seconds(rows: Sequence[dict[str, Any]], name: str) -> FloatArray:
    return as_floats([_moment(row.get(name)) for row in rows])


def _by_speed(rows: Sequence[dict[str, Any]]) -> FloatArray:
    """Return tokens over tokens per second, which transformers counts from the start of training."""
    tokens, speed = _column(rows, _TOKENS), _column(rows, _SPEED)
    seconds: FloatArray = tokens / np.where(speed > 0, speed, np.nan)
    return seconds


def _moment(value: Any) -> float:
    """Return seconds from a number, a date or a duration such as `1:02:03`; NaN from all else."""
    seconds = number(value)
    if seconds is None and isinstance(value, str) and len(value) < 64:
        seconds = _from_text(value.strip())
    if seconds is None or not math.isfinite(seconds):
        return math.nan
    return seconds / 1000.0 if seconds > _MILLISECONDS else seconds


def _from_text(text: str) -> float | None:
    if clock := _CLOCK.match(text):
        days, hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _last_fall(values: FloatArray) -> int:
    """Return where the last part begins in which `values` never fall; NaN stays out of it."""
    falls = np.flatnonzero(np.diff(values) < 0)
    return int(falls[-1]) + 1 if falls.size else 0


def _last(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size else math.nan
