"""Reads the metrics files of AllenNLP: `metrics_epoch_0.json`, `metrics_epoch_1.json`, ...

There is one file per epoch. Given with its folder, all of them make the history; given by itself
a file is one point of it. `metrics.json` beside them holds final values only.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from ftadvise.errors import LogError
from ftadvise.readers.json_logs import documents
from ftadvise.readers.series.tables import number
from ftadvise.readers.series.values import read_value
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ftadvise.readers.source import Source
    from ftadvise.run import Run

MAX_FILES = 10_000
MAX_BYTES = 4 * 1024 * 1024

_FILE = re.compile(r"metrics_epoch_(\d{1,9})\.json$")
_MARKS = ('"training_epochs"', '"epoch"', '"training_duration"')


def sniff(source: Source) -> float:
    """Return 0.95 for the metrics of one epoch."""
    if documents.sniff(source) < 0.5:
        return 0.0
    head = documents.opening(source)
    if '"best_epoch"' not in head and '"training_start_epoch"' not in head:
        return 0.0
    return 0.95 if all(mark in head for mark in _MARKS) and '"training_loss"' in head else 0.0


def gather(path: Path) -> Sequence[Path]:
    """Return the metrics files beside `path` by epoch, or `path` where it is none of them."""
    if not _FILE.match(path.name):
        return (path,)
    try:
        found = [
            (int(m[1]), file) for file in path.parent.iterdir() if (m := _FILE.match(file.name))
        ]
    except OSError:
        return (path,)
    return [file for _, file in sorted(found)[:MAX_FILES]]


def read(source: Source) -> list[Run]:
    """Return the run whose epochs the files hold.

    Raises:
        LogError: FT404 broken, FT405 no loss in it.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for file in source.files:
        row = _row(file)
        if row is None:
            notes.append(f"{clean(file.name)} is no metrics file of an epoch and is left out.")
            continue
        rows.append(row)
    if not rows:
        raise LogError(f"{source.label}: no metrics of an epoch", code="FT404")
    rows.sort(key=lambda row: row["epoch"])
    if len(source.files) == 1:
        notes.append("One epoch of the run; give the folder for all of them.")
    return read_value(source, rows, notes)


def _row(file: Path) -> dict[str, Any] | None:
    try:
        with file.open("rb") as opened:
            value: Any = json.loads(opened.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    row = cast("dict[str, Any]", value)
    epoch = number(row.get("epoch"))
    if epoch is None or not 0 <= epoch < 1e9:
        return None
    # AllenNLP counts epochs from 0; the file is written when the epoch is done.
    losses = {name: value for name, value in row.items() if "loss" in name}
    return {**losses, "epoch": epoch + 1}
