"""Reads `metrics.csv` of Lightning's CSVLogger.

Its rows are sparse: a train loss, the eval loss of the same epoch and the learning rate stand in
rows of their own. `step` is the index of the optimizer step and `epoch` the one in progress, both
from 0, so that fractions of an epoch follow from where epochs end. A loss that is logged per step
and per epoch stands there twice, as `train_loss_step` and `train_loss_epoch`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ftadvise.errors import LogError
from ftadvise.readers.series.choose import TEST
from ftadvise.readers.series.keys import LOSSES, meaning
from ftadvise.readers.series.tables import Column, Table
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.table_logs.csv_table import frame_of
from ftadvise.readers.table_logs.frame_columns import column_of, full
from ftadvise.readers.table_logs.frame_tables import runs_of_frame, tables_of_frame
from ftadvise.readers.table_logs.table_opening import Opening, has_loss, opening_of

if TYPE_CHECKING:
    from ftadvise.readers.table_logs.frame import Frame
    from ftadvise.run import FloatArray, Run

Mask = npt.NDArray[np.bool_]

_PER_STEP, _PER_EPOCH = "_step", "_epoch"
_LAST_RANK = 9  # of a series that is taken only when it is asked for


def sniff(source: Source) -> float:
    """Return 0.95 for a table with the columns and the sparse rows of the CSVLogger."""
    opening = opening_of(source)
    if opening is None or not opening.holds("epoch", "step") or not has_loss(opening.names):
        return 0.0
    named = any(
        name.startswith("lr-") or (name.endswith((_PER_STEP, _PER_EPOCH)) and has_loss([name]))
        for name in opening.names
    )
    beside = source.given is not None and "lightning_logs" in source.given.parts
    in_order = list(opening.names) == sorted(opening.names) and _is_sparse(opening)
    return 0.95 if named or beside or in_order else 0.0


def _is_sparse(opening: Opening) -> bool:
    """Return whether no row has all of its losses, and every row its step."""
    step = opening.names.index("step")
    losses = [place for place, name in enumerate(opening.names) if has_loss([name])]
    return bool(opening.body) and all(
        len(row) == len(opening.names) and row[step] and not all(row[place] for place in losses)
        for row in opening.body
    )


def read(source: Source) -> list[Run]:
    """Return the run in a `metrics.csv`.

    Raises:
        LogError: FT404 no such table, FT405 or FT406 no loss in it.
    """
    opening = opening_of(source)
    if opening is None or not opening.holds("epoch", "step"):
        raise LogError(f"{source.label}: no metrics.csv of Lightning", code="FT404")
    frame = frame_of(source, opening)
    return runs_of_frame(source, frame, [_table(frame, source)])


def _table(frame: Frame, source: Source) -> Table:
    done = full(frame, "step") + 1
    logged, at_end = _rows_with_losses(frame)
    in_order = done[logged & np.isfinite(done)]
    if (np.diff(in_order) < 0).any():  # several runs in one file
        return tables_of_frame(frame, source.wanted)[0]
    per_epoch = _steps_per_epoch(frame, done, logged, at_end)
    epoch = np.full(frame.size, np.nan) if per_epoch is None else done / per_epoch
    frame.notes.append(
        "Steps and epochs are counted from 0 in the log; they are given as steps and epochs done."
    )
    table = Table((), rows=True)
    for name in frame.numbers:
        means = meaning(name)
        if means.role in (*LOSSES, "rate", "gradient") or source.wanted.names(name):
            step, passed = (None, None) if _has_own_steps(name) else (done, epoch)
            column = column_of(frame, name, step=step, epoch=passed)
            table.columns.append(_ranked(frame, column))
    return table


def _ranked(frame: Frame, column: Column) -> Column:
    """Put the granularity of a loss last that is not wanted: train per step, eval per epoch."""
    name = column.name
    base = name.removesuffix(_PER_STEP).removesuffix(_PER_EPOCH)
    if column.meaning.role == "train" and name.endswith(_PER_EPOCH):
        twin = frame.numbers.get(base + _PER_STEP)
        last = twin is not None and twin.value.size >= column.value.size
    else:
        last = _has_own_steps(name) and not frame.numbers.keys().isdisjoint(
            (base, base + _PER_EPOCH)
        )
    if not last:
        return column
    return replace(column, meaning=replace(column.meaning, rank=(_LAST_RANK, _LAST_RANK)))


def _has_own_steps(name: str) -> bool:
    """Return whether the steps of a series count batches of evaluations, not of the training."""
    return name.endswith(_PER_STEP) and meaning(name).role == "eval"


def _steps_per_epoch(frame: Frame, done: FloatArray, logged: Mask, at_end: Mask) -> float | None:
    """Return the steps in an epoch as far as the rows tell, and note what had to be assumed.

    Args:
        frame: The table.
        done: Steps done at each of its rows.
        logged: The rows that hold a loss of the training.
        at_end: Those of them that may end an epoch.
    """
    epoch = full(frame, "epoch")
    known = logged & np.isfinite(done) & np.isfinite(epoch) & (epoch >= 0)
    done, epoch, at_end = done[known], epoch[known], at_end[known]
    if not done.size or (epoch != np.floor(epoch)).any():
        return None
    # A row of epoch e, with s steps done, lies between its first step and its last.
    share = done / (epoch + 1)
    low = float(share.max())
    later = epoch >= 1
    high = float(((done[later] - 1) / epoch[later]).min()) if later.any() else math.inf
    if low > high * (1 + 1e-9):
        return None
    if at_end[share == low].any():
        return low
    if math.isinf(high):
        return None
    middle = float(min(math.floor(high), max(math.ceil(low), round((low + high) / 2))))
    if math.ceil(low) < math.floor(high):
        frame.notes.append(
            f"By the log an epoch has {math.ceil(low)} to {math.floor(high)} steps; "
            f"taken as {middle:.0f}."
        )
    return max(middle, low)


def _rows_with_losses(frame: Frame) -> tuple[Mask, Mask]:
    """Return which rows hold a loss of the training, and which of them end an epoch."""
    logged, at_end = np.zeros(frame.size, dtype=bool), np.zeros(frame.size, dtype=bool)
    for name, cells in frame.numbers.items():
        means = meaning(name)
        if means.role not in LOSSES or _has_own_steps(name) or means.rank[1] >= TEST:
            continue
        logged[cells.index] = True
        if means.role == "eval" or name.endswith(_PER_EPOCH):
            at_end[cells.index] = True
    return logged, at_end


READER = Reader(
    name="lightning_csv",
    description="metrics.csv of Lightning's CSVLogger",
    sniff=sniff,
    read=read,
)
