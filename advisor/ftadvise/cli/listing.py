"""The runs in a log or folder, as a table or as objects."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.readers.folders.below import Below, RunsBelow
    from ftadvise.run import Run, Series

SHOWN_ASIDE = 12
SCHEMA = "ftadvise.runs/1"

_HEADS = ("run", "format", "train loss", "eval loss", "epochs", "last written")
_EPOCHS = _HEADS.index("epochs")
_WIDEST_NAME = 60
_WIDEST_WORD = 24
_HOW = "--run NAME takes another one (a part of the name is enough), --all takes all."


def aside(path: str, below: RunsBelow, taken: Run) -> list[str]:
    """Return what is said of the other runs in a folder while the answer is about one."""
    count = len(below.runs)
    shown = _around(below.runs, taken)
    lines = [f"{clean(path, 300)} holds {count} runs; the answer is about the one marked with *:"]
    lines += ["  " + line for line in _rows(shown, taken)]
    if len(shown) < count:
        lines.append(f"  ... and {count - len(shown)} more (--list shows all)")
    return [*lines, _HOW]


def table(path: str, below: RunsBelow) -> list[str]:
    """Return all runs of a log or folder, the one that is taken by itself with a mark."""
    from ftadvise.reports import words

    count = len(below.runs)
    lines = [f"{words.place(path)}: {count} {'run' if count == 1 else 'runs'}", ""]
    lines += _rows(below.runs, below.newest().run)
    for log, error in below.unread:
        why = error.message.removeprefix(f"{clean(log.choices[0][0], 1000)}: ")
        lines.append(f"  {_name(log.name)} cannot be read: {clean(why, 300)} [{error.code}]")
    return [
        *lines,
        *(["", *below.notes] if below.notes else []),
        *(["", _HOW] if count > 1 else []),
    ]


def objects(path: str, below: RunsBelow) -> dict[str, Any]:
    """Return the same as an object for JSON."""
    taken = below.newest().run
    return {
        "schema": SCHEMA,
        "source": {"path": path},
        "runs": [_object(one, taken) for one in below.runs],
        "unread": [
            {"name": log.name, "code": error.code, "message": error.message}
            for log, error in below.unread
        ],
        "notes": list(below.notes),
    }


def _object(one: Below, taken: Run) -> dict[str, Any]:
    run = one.run
    written = datetime.fromtimestamp(one.log.written, UTC).isoformat(timespec="seconds")
    return {
        "name": run.source.run,
        "path": run.source.path,
        "format": run.source.format,
        "train_key": run.train.key,
        "train_points": len(run.train),
        "eval_key": run.eval.key,
        "eval_points": len(run.eval),
        "epochs": epochs_of(run),
        "written": written,
        "taken": run is taken,
    }


def _around(runs: Sequence[Below], taken: Run) -> list[Below]:
    """Return as many runs as are shown aside, the one that is taken among them."""
    if len(runs) <= SHOWN_ASIDE:
        return list(runs)
    own = next((place for place, one in enumerate(runs) if one.run is taken), 0)
    first = max(0, min(own - SHOWN_ASIDE // 2, len(runs) - SHOWN_ASIDE))
    return list(runs[first : first + SHOWN_ASIDE])


def _rows(runs: Sequence[Below], taken: Run) -> list[str]:
    rows = [_HEADS, *(_row(one) for one in runs)]
    marks = [" ", *("*" if one.run is taken else " " for one in runs)]
    sizes = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines: list[str] = []
    for mark, row in zip(marks, rows, strict=True):
        cells = [
            f"{cell:>{size}}" if column == _EPOCHS else f"{cell:<{size}}"
            for column, (cell, size) in enumerate(zip(row, sizes, strict=True))
        ]
        lines.append(f"{mark} {'  '.join(cells)}".rstrip())
    return lines


def _row(one: Below) -> tuple[str, ...]:
    from ftadvise.numbers import short
    from ftadvise.reports import words

    run = one.run
    name = _name(run.source.run or words.place(one.log.name))
    epochs = epochs_of(run)
    return (
        name,
        clean(run.source.format, _WIDEST_WORD),
        _series(run.train),
        _series(run.eval),
        "-" if epochs is None else short(epochs),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(one.log.written)),
    )


def _series(series: Series) -> str:
    """Return what a series is called and how many points it has."""
    if not len(series):
        return "-"
    return f"{clean(series.key or '?', _WIDEST_WORD)} ({len(series)})"


def _name(name: str) -> str:
    """Return a name that is not too wide for a table: its beginning and its end."""
    whole, first = clean(name, 1000), _WIDEST_NAME // 3
    if len(whole) <= _WIDEST_NAME:
        return whole
    return f"{whole[:first]}…{whole[first + 1 - _WIDEST_NAME :]}"


def epochs_of(run: Run) -> float | None:
    """Return the last epoch of a run, None where its log tells none."""
    import numpy as np

    epochs = np.concatenate([run.train.epoch, run.eval.epoch])
    known = epochs[np.isfinite(epochs)]
    return float(known.max()) if known.size else None
