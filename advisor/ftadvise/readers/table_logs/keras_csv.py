"""Reads the file of Keras' CSVLogger: one row per epoch, counted from 0.

In append mode every `fit` adds its rows below those of the last one, without a new header. One
that starts from epoch 0 again is a run of its own; one that goes on from a later epoch is not.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.series.tables import Table
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.table_logs.csv_table import frame_of
from ftadvise.readers.table_logs.frame_columns import column_of, full, split
from ftadvise.readers.table_logs.frame_tables import runs_of_frame
from ftadvise.readers.table_logs.table_opening import opening_of

if TYPE_CHECKING:
    from ftadvise.readers.table_logs.frame import Frame
    from ftadvise.readers.table_logs.table_opening import Opening
    from ftadvise.run import Run

MAX_STARTS = 200  # more of them are disorder


def sniff(source: Source) -> float:
    """Return 0.9 for a table with the header of the CSVLogger, else 0."""
    opening = opening_of(source)
    if opening is None or opening.names[:1] != ("epoch",) or not opening.holds("loss"):
        return 0.0
    metrics = list(opening.names[1:])
    own = [name for name in metrics if not name.startswith("val_")]
    in_order = metrics == sorted(metrics) or metrics == own + [f"val_{name}" for name in own]
    known = set(own) >= {name.removeprefix("val_") for name in metrics if name not in own}
    return 0.9 if in_order and known and len(metrics) > 1 and _from_zero(opening) else 0.0


def _from_zero(opening: Opening) -> bool:
    """Return whether the rows are epochs from 0, as they are in every file of the CSVLogger."""
    epochs = [row[0].strip() for row in opening.body]
    if epochs[:1] != ["0"] or not all(epoch.isdigit() for epoch in epochs):
        return False
    if any(meaning(name).role == "step" for name in opening.names):
        return False
    # Every row is another epoch, or the first of another training.
    return not any(a == b != "0" for a, b in itertools.pairwise(epochs)) and (
        len(epochs) < 3 or any(epoch != "0" for epoch in epochs)
    )


def read(source: Source) -> list[Run]:
    """Return one run for every training from epoch 0.

    Raises:
        LogError: FT404 no such table, FT405 or FT406 no loss in it.
    """
    opening = opening_of(source)
    if opening is None or opening.names[:1] != ("epoch",) or not _from_zero(opening):
        raise LogError(f"{source.label}: no table of Keras' CSVLogger", code="FT404")
    frame = frame_of(source, opening)
    tables = _tables(frame, source)
    runs = runs_of_frame(source, frame, tables)
    again = len(tables) - 1
    return [replace(run, restarts=run.restarts + again) for run in runs]


def _tables(frame: Frame, source: Source) -> list[Table]:
    epoch = full(frame, "epoch")
    note = "Epochs are numbered from 0 in the log; epoch 0 is reported as epoch 1."
    frame.notes.append(note)
    start = np.cumsum(epoch == 0) - (epoch[:1] == 0).sum()
    count = int(start[-1]) + 1 if start.size else 0
    several = 1 < count <= MAX_STARTS
    parts = split(frame, start, count) if several else [frame]
    tables: list[Table] = []
    for number, part in enumerate(parts, 1):
        table = Table((f"start {number}",) if several else (), rows=True)
        done = full(part, "epoch") + 1
        for name in part.numbers:
            if meaning(name).role in ("train", "eval", "rate") or source.wanted.names(name):
                table.columns.append(column_of(part, name, epoch=done))
        tables.append(table)
    return tables


READER = Reader(
    name="keras_csv",
    description="the file of Keras' CSVLogger",
    sniff=sniff,
    read=read,
)
