"""Fills the frame of a table from its rows of text, in one pass and within limits."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.table_logs.delimited import parse, rows
from ftadvise.readers.table_logs.frame import (
    MAX_CELLS,
    MAX_LABELS,
    MAX_ROWS,
    Cells,
    Frame,
    is_label,
    means_something,
    too_large,
    unique_names,
)
from ftadvise.readers.table_logs.table_opening import Opening, is_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ftadvise.readers.source import Source
    from ftadvise.readers.wanted import Wanted

_AT_ONCE = 2048  # rows that are turned into numbers together


def read_frame(source: Source, opening: Opening, lines: Iterable[str]) -> Frame:
    """Return the table in `lines`.

    Args:
        source: Where it comes from, for its name and for the keys that are wanted of it.
        opening: How it is written.
        lines: Its lines with their ends, the header included.

    Raises:
        LogError: FT407 when it is over the limits.
    """
    filler = _Filler(source.label, source.wanted, opening.dialect.decimal_comma)
    if opening.first is None:
        filler.header(opening.names)
    first = list(opening.first or ())
    watched = _Watched(lines)
    for row in rows(watched, opening.dialect):
        if row == first:
            filler.header(opening.names)
        elif filler.is_other_header(row):
            shift = [""] * (len(opening.names) - len(first)) if len(row) == len(first) else []
            filler.header([*shift, *row])
        elif filler.names:
            filler.row(row)
    filler.end(opening, watched.ended)
    return filler.frame()


class _Watched:
    """Lines of which it is known afterwards whether the last one was complete."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = lines
        self.ended = True

    def __iter__(self) -> Iterator[str]:
        line = "\n"
        for line in self.lines:
            yield line
        self.ended = line.endswith("\n")


def _is_cut_off(row: list[str], opening: Opening) -> bool:
    """Return whether the last row, which does not end its line, looks broken off."""
    last = row[-1].strip() if row else ""
    others = [other for other in opening.body if len(other) == opening.width and other != row]
    usual = [len(other[-1].strip()) for other in others]
    return len(row) < opening.width or (
        bool(last) and (last[-1] in ".,-+eE" or 2 * len(last) <= min(usual, default=0))
    )


@dataclass
class _Column:
    """A column of numbers while it is read; `index` is None as long as it has no holes."""

    value: array[float] = field(default_factory=lambda: array("d"))
    index: array[int] | None = None

    def has_holes(self) -> array[int]:
        """Return the index, made up where there was none."""
        if self.index is None:
            self.index = array("i", range(len(self.value)))
        return self.index


class _Filler:
    """Fills the columns of a frame, one row of text after the other."""

    def __init__(self, label: str, wanted: Wanted, decimal_comma: bool) -> None:
        self.label = label
        self.wanted = wanted
        self.decimal_comma = decimal_comma
        self.notes: list[str] = []
        self.names: dict[str, None] = {}
        self._size = 0  # rows in the columns; `_rows` come on top
        self._rows: list[list[str]] = []
        self._headers = 0
        self._longer = 0
        self._width = 0
        self._columns: dict[str, _Column] = {}
        self._labels: dict[str, list[str]] = {}
        self._seen: dict[str, dict[str, str]] = {}
        self._number_slots: list[tuple[int, _Column]] = []
        self._label_slots: list[tuple[int, str]] = []

    def header(self, row: Sequence[str]) -> None:
        """Take `row` as the names of the columns from here on."""
        self._flush()
        self._headers += 1
        self._number_slots, self._label_slots = [], []
        names = unique_names(row)
        self._width = len(names)
        for place, name in enumerate(names):
            self.names.setdefault(name)
            if is_label(name):
                self._labels.setdefault(name, [])
                self._seen.setdefault(name, {})
                self._label_slots.append((place, name))
            if means_something(name, self.wanted):
                self._number_slots.append((place, self._columns.setdefault(name, _Column())))

    def is_other_header(self, row: list[str]) -> bool:
        """Return whether a restarted run wrote a header again, with other columns."""
        if not row or row[0][:1].isdigit() or not self.names:
            return False
        return sum(cell.strip() in self.names for cell in row if cell) > 1 and is_header(row)

    def row(self, cells: list[str]) -> None:
        """Add a row."""
        self._rows.append(cells)
        self._longer += len(cells) > self._width
        if len(self._rows) > _AT_ONCE:
            last = self._rows.pop()
            self._flush()
            self._rows.append(last)

    def end(self, opening: Opening, ended: bool) -> None:
        """Add what is left, but for a last row that was cut off."""
        if self._rows and not ended and _is_cut_off(self._rows[-1], opening):
            self._rows.pop()
            self.notes.append("The last row is cut off and left out.")
        self._flush()

    def _flush(self) -> None:
        """Turn the rows that wait into numbers."""
        waiting, here = self._rows, self._size
        if here + len(waiting) > MAX_ROWS:
            raise too_large(self.label)
        for place, column in self._number_slots:
            try:
                values = array("d", [float(row[place]) for row in waiting])
            except (ValueError, IndexError):
                self._add_with_holes(column, place)
                continue
            if column.index is not None or len(column.value) < here:
                column.has_holes().extend(range(here, here + len(values)))
            column.value.extend(values)
        for place, name in self._label_slots:
            self._add_labels(name, place)
        self._size += len(waiting)
        self._rows = []
        if sum(len(column.value) for column in self._columns.values()) > MAX_CELLS:
            raise too_large(self.label)

    def _add_with_holes(self, column: _Column, place: int) -> None:
        index, value = column.has_holes(), column.value
        for here, row in enumerate(self._rows, self._size):
            cell = row[place] if place < len(row) else ""
            number = parse(cell, self.decimal_comma) if cell else None
            if number is not None:
                index.append(here)
                value.append(number)

    def _add_labels(self, name: str, place: int) -> None:
        seen, texts = self._seen[name], self._labels[name]
        texts.extend([""] * (self._size - len(texts)))  # rows under a header without it
        for row in self._rows:
            text = row[place].strip()[:80] if place < len(row) else ""
            texts.append(seen.setdefault(text, text) if len(seen) < MAX_LABELS else "")

    def frame(self) -> Frame:
        """Return the frame of all rows."""
        if self._headers > 1:
            times = "once more" if self._headers == 2 else f"{self._headers - 1} times more"
            self.notes.append(f"The header stands {times} among the rows: the run was restarted.")
        if self._longer:
            rows_are = "1 row has" if self._longer == 1 else f"{self._longer} rows have"
            self.notes.append(
                f"{rows_are} more cells than the header; the last ones are left out."
            )
        made = Frame(tuple(self.names), self._size, notes=self.notes)
        whole = np.arange(self._size)
        for name, column in self._columns.items():
            if not column.value:
                continue
            value = np.frombuffer(column.value, dtype=np.float64)
            if column.index is None and value.size == self._size:
                made.numbers[name] = Cells(whole, value)
            else:
                index = np.frombuffer(column.has_holes(), dtype=np.int32).astype(np.int64)
                made.numbers[name] = Cells(index, value)
        for name, texts in self._labels.items():
            if len(self._seen[name]) < MAX_LABELS:
                made.labels[name] = texts + [""] * (self._size - len(texts))
        return made
