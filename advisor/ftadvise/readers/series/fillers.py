"""Tells a value that was logged from one that only fills a row in which none was.

Who logs train and eval loss side by side writes NaN, 0 or -1 where no evaluation was made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.series.keys import LOSSES
from ftadvise.text import clean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ftadvise.readers.series.tables import Column, Table
    from ftadvise.run import FloatArray

    Mask = NDArray[np.bool_]


def filler_in(value: FloatArray, role: str) -> tuple[Mask, str] | None:
    """Return which values of a loss are fillers, and what they are; None where none is.

    Fillers stand in most rows and between numbers. 0 and -1 are such in an eval loss alone, where
    no other value comes near to them.
    """
    if role not in LOSSES:
        return None
    for filler in (0, -1, np.nan) if role == "eval" else (np.nan,):
        holes = np.isnan(value) if np.isnan(filler) else value == filler
        places = np.flatnonzero(~holes)
        if 2 * holes.sum() < holes.size or not places.size or not holes[: places[-1]].any():
            continue
        known = value[places]
        if np.isnan(filler) or (known.size > 1 and known.min() > known.max() / 20):
            return holes, f"{filler:g}"
    return None


def without_fillers(tables: list[Table]) -> tuple[list[Table], dict[str, str]]:
    """Return the tables without the fillers in them, and what has to be said, by name of column."""
    notes: dict[str, str] = {}
    return [replace(table, columns=_cleared(table, notes)) for table in tables], notes


def _cleared(table: Table, notes: dict[str, str]) -> list[Column]:
    in_turn = _in_turn(table)
    columns: list[Column] = []
    for column in table.columns:
        found = filler_in(column.value, column.meaning.role)
        if found is not None and not _fills_rows_of_others(column, found[0], table):
            found = None
        if found is None and column.name in in_turn:
            found = np.isnan(column.value), "nan"
        if found is not None:
            notes[column.name] = (
                f"{clean(column.name, 60)} is {found[1]} in rows between its numbers: taken as not "
                "logged there."
            )
        columns.append(column if found is None else _without(column, found[0]))
    return columns


def _fills_rows_of_others(column: Column, holes: Mask, table: Table) -> bool:
    """Return whether what may be fillers stands where the other loss was logged."""
    other = "train" if column.meaning.role == "eval" else "eval"
    return any(
        c.size == column.size and np.isin(column.index[holes], c.index[np.isfinite(c.value)]).all()
        for c in table.columns
        if c.meaning.role == other
    )


def _in_turn(table: Table) -> set[str]:
    """Return the names of a train and an eval loss of which each row has one, the other NaN."""
    of_role = {
        role: [c for c in table.columns if c.meaning.role == role and np.isnan(c.value).any()]
        for role in LOSSES
    }
    if not table.rows or any(len(columns) != 1 for columns in of_role.values()):
        return set()
    train, evaluated = (of_role[role][0] for role in LOSSES)
    if np.array_equal(np.isnan(train.full()), ~np.isnan(evaluated.full())):
        return {train.name, evaluated.name}
    return set()


def _without(column: Column, holes: Mask) -> Column:
    kept = ~holes
    return replace(
        column,
        index=column.index[kept],
        value=column.value[kept],
        step=None if column.step is None else column.step[kept],
        epoch=None if column.epoch is None else column.epoch[kept],
    )
