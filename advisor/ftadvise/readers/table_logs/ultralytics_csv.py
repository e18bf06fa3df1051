"""Reads `results.csv` of Ultralytics YOLO, from version 5 on.

There is no column of the whole loss. Its parts (`train/box_loss`, `train/cls_loss`, ...) are logged
after they were multiplied by their gains, and what is minimised is their plain sum
(`ultralytics/utils/loss.py`: `loss[0] *= self.hyp.box`, then `loss.sum()`); so the sum is read.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.series.keys import LOSSES, Meaning, meaning
from ftadvise.readers.series.tables import Column
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.table_logs.csv_table import frame_of
from ftadvise.readers.table_logs.frame import columns_shown
from ftadvise.readers.table_logs.frame_tables import runs_of_frame, tables_of_frame
from ftadvise.readers.table_logs.table_opening import opening_of
from ftadvise.run import Settings

if TYPE_CHECKING:
    from ftadvise.readers.series.tables import Table
    from ftadvise.run import Run

_TRAIN, _VAL = "train/", "val/"
_SETTING = re.compile(r"^(epochs|cos_lr): *(\w{1,9})\s*$", re.MULTILINE | re.ASCII)
_MAX_SETTINGS = 64 * 1024
_MARKS = ("metrics/", "lr/pg", "x/lr")


def sniff(source: Source) -> float:
    """Return 0.95 for a table with the columns of Ultralytics, else 0."""
    opening = opening_of(source)
    if opening is None or not opening.holds("epoch"):
        return 0.0
    marked = any(name.startswith(_MARKS) for name in opening.names)
    return 0.95 if marked and _parts(opening.names, _TRAIN) else 0.0


def read(source: Source) -> list[Run]:
    """Return the run in a `results.csv`.

    Raises:
        LogError: FT404 no such table, FT405 or FT406 no loss in it.
    """
    opening = opening_of(source)
    if opening is None or not _parts(opening.names, _TRAIN):
        raise LogError(f"{source.label}: no results.csv of Ultralytics", code="FT404")
    frame = frame_of(source, opening)
    tables = tables_of_frame(frame, source.wanted)
    for table in tables:
        if (note := _add_sums(table)) and note not in frame.notes:
            frame.notes.append(note)
    settings = _settings_beside(source)
    if settings is not None:
        frame.notes.append("What was planned stands in args.yaml beside it.")
    return runs_of_frame(source, frame, tables, settings)


def _settings_beside(source: Source) -> Settings | None:
    """Return what `args.yaml`, which Ultralytics writes beside its results, says of the plan."""
    if source.given is None:
        return None
    try:
        with (source.given.parent / "args.yaml").open("rb") as file:
            found = dict(_SETTING.findall(file.read(_MAX_SETTINGS).decode(errors="replace")))
    except (OSError, ValueError):
        return None
    epochs = found.get("epochs", "")
    if not epochs.isdigit() or int(epochs) == 0:
        return None
    schedule = {"True": "cosine", "true": "cosine", "False": "linear", "false": "linear"}
    return Settings(
        num_train_epochs=float(epochs), lr_scheduler_type=schedule.get(found.get("cos_lr", ""))
    )


def _parts(names: tuple[str, ...], split: str) -> list[str]:
    """Return what stands behind `train/` or `val/` in the names of losses."""
    return [
        name.removeprefix(split)
        for name in names
        if name.startswith(split) and meaning(name).role in LOSSES
    ]


def _add_sums(table: Table) -> str:
    """Add the sum of the parts for train and eval to `table`; return what has to be said of it."""
    by_name = {column.name: column for column in table.columns}
    train = _parts(tuple(by_name), _TRAIN)
    both = [part for part in train if _VAL + part in by_name] or train
    if len(both) < 2:
        return ""
    for split in (_TRAIN, _VAL):
        columns = [by_name[split + part] for part in both if split + part in by_name]
        if len(columns) == len(both):
            table.columns.append(_sum(columns, "eval" if split == _VAL else "train"))
    left = [part for part in train if part not in both]
    return (
        f"The loss is the sum of {columns_shown(both)}, which Ultralytics logs with their gains applied"
        + (f"; {columns_shown(left)} is left out, because val/ has no such part." if left else ".")
    )


def _sum(columns: list[Column], split: str) -> Column:
    """Return the sum of `columns` in the rows where all of them have a value."""
    index = reduce(np.intersect1d, [column.index for column in columns])
    total = np.sum([column.full()[index] for column in columns], axis=0)
    name = " + ".join(column.name for column in columns)
    means = Meaning("eval" if split == "eval" else "train", (0, 0), split)
    return Column(name, means, index, total, columns[0].size)


READER = Reader(
    name="ultralytics_csv",
    description="results.csv of Ultralytics YOLO",
    sniff=sniff,
    read=read,
)
