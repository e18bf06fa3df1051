"""A table that is put together row by row, as a text log is read."""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.series.tables import Column, Table
from ftadvise.readers.series.values import runs_of_tables
from ftadvise.readers.wanted import ANY, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftadvise.readers.series.keys import Meaning
    from ftadvise.readers.source import Source
    from ftadvise.run import Run, Settings


class Columns:
    """The columns of a log while its rows are read; memory goes with the numbers in it.

    Attributes:
        size: Rows so far.
    """

    def __init__(self, meanings: Mapping[str, Meaning] | None = None) -> None:
        """Start empty; `meanings` of names come before what the names themselves say."""
        self.size = 0
        self._meanings = meanings or {}
        self._columns: dict[str, tuple[array[int], array[float]]] = {}

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row of numbers by name."""
        for name, value in row.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = (array("q"), array("d"))
            column[0].append(self.size)
            column[1].append(value)
        self.size += 1

    def count(self, name: str) -> int:
        """Return how many values a column has."""
        return len(self._columns[name][1]) if name in self._columns else 0

    def drop(self, name: str) -> None:
        """Leave a column out."""
        self._columns.pop(name, None)

    def names(self) -> list[str]:
        """Return the names of the columns in order of appearance."""
        return list(self._columns)

    def table(self, wanted: Wanted = ANY) -> Table:
        """Return the table of all columns with a meaning, or with a name that is wanted."""
        columns: list[Column] = []
        for name, (index, value) in self._columns.items():
            means = self._meanings.get(name) or meaning(name)
            if means.role != "other" or wanted.names(name):
                rows = np.frombuffer(index, dtype=np.int64)
                values = np.frombuffer(value, dtype=np.float64)
                columns.append(Column(name, means, rows, values, self.size))
        return Table((), columns, rows=True)


def runs_in_columns(
    source: Source,
    columns: Columns,
    notes: Iterable[str] = (),
    planned: float | None = None,
    settings: Settings | None = None,
    others: Iterable[str] = (),
) -> list[Run]:
    """Return the runs in `columns`.

    Args:
        source: The log, for its name and for the keys that are wanted of it.
        columns: What was read from it.
        notes: What had to be assumed.
        planned: Epochs that the log says were planned.
        settings: What else it says.
        others: Names of further series in the log.

    Raises:
        LogError: FT405 no loss history in them.
    """
    table = columns.table(source.wanted)
    runs = runs_of_tables([table], source.wanted, planned, settings, others)
    if not runs:
        raise LogError(f"{source.label}: no loss history in this log", code="FT405")
    return [replace(run, notes=(*notes, *run.notes)) for run in runs]
