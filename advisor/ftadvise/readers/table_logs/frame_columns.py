"""Columns of the frame of a table: as series with their times, and those of some rows alone."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.series.fillers import filler_in
from ftadvise.readers.series.keys import Meaning, meaning
from ftadvise.readers.series.tables import Column
from ftadvise.readers.table_logs.frame import Cells, Frame, columns_shown

if TYPE_CHECKING:
    from ftadvise.readers.series.tables import IntArray
    from ftadvise.run import FloatArray

__all__ = ["codes", "column_of", "full", "row_numbers", "split", "without_filler"]


def column_of(
    frame: Frame,
    name: str,
    rename: str | None = None,
    step: FloatArray | None = None,
    epoch: FloatArray | None = None,
) -> Column:
    """Return a column of `frame` as it is found by name, with the time of its rows where given.

    Args:
        frame: The table.
        name: A column of numbers in it.
        rename: The name that says what it means, where that is another.
        step: Steps of all rows of the frame.
        epoch: Epochs of all rows of the frame.
    """
    cells, name = frame.numbers[name], rename or name
    means = meaning(name)
    cells = without_filler(frame, name, cells, means)
    times = [None if axis is None else axis[cells.index] for axis in (step, epoch)]
    return Column(name, means, cells.index, cells.value, frame.size, *times)


def full(frame: Frame, name: str) -> FloatArray:
    """Return the column `name` with NaN in the rows where it is empty."""
    array = np.full(frame.size, np.nan)
    cells = frame.numbers.get(name)
    if cells is not None:
        array[cells.index] = cells.value
    return array


def without_filler(frame: Frame, name: str, cells: Cells, means: Meaning) -> Cells:
    """Leave out what only says that nothing was logged, and say so."""
    found = filler_in(cells.value, means.role)
    if found is None:
        return cells
    holes, filler = found
    frame.notes.append(
        f"{columns_shown([name])} is {filler} in {int(holes.sum())} of {holes.size} rows between "
        "its numbers: taken as not logged there."
    )
    return Cells(cells.index[~holes], cells.value[~holes])


def split(frame: Frame, part: IntArray, count: int) -> list[Frame]:
    """Return the frames of the rows of each part.

    Args:
        frame: The table.
        part: The number of the part that each row belongs to, from 0.
        count: How many parts there are.
    """
    size = np.bincount(part, minlength=count)
    order = np.argsort(part, kind="stable")
    place = np.empty_like(part)  # of each row within its part
    place[order] = np.arange(part.size) - np.repeat(np.cumsum(size) - size, size)
    sizes: list[int] = size.tolist()
    frames = [Frame(frame.names, rows) for rows in sizes]
    for name, cells in frame.numbers.items():
        own = part[cells.index]
        grouped = np.argsort(own, kind="stable")
        index, value = place[cells.index[grouped]], cells.value[grouped]
        ends = np.cumsum(np.bincount(own, minlength=count))
        for number, (first, last) in enumerate(itertools.pairwise([0, *ends.tolist()])):
            if last > first:
                frames[number].numbers[name] = Cells(index[first:last], value[first:last])
    for name, texts in frame.labels.items():
        numbers: list[int] = part.tolist()
        for number, text in zip(numbers, texts, strict=True):
            frames[number].labels.setdefault(name, []).append(text)
    return frames


def codes(texts: list[str]) -> tuple[list[str], IntArray]:
    """Return the different texts in the order of their first rows, and the number of each row's."""
    known = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return list(known), np.array([known[text] for text in texts], dtype=np.int64)


def row_numbers(frame: Frame) -> Column | None:
    """Return the unnamed column of row numbers as epochs where nothing else counts."""
    for name in ("", "Unnamed: 0", "index"):
        cells = frame.numbers.get(name)
        if cells is None or cells.value.size < frame.size or frame.size < 2:
            continue
        value = cells.value
        if (value == np.floor(value)).all() and value[0] in (0, 1) and (np.diff(value) != 0).all():
            frame.notes.append("No step or epoch in the table: its rows are taken as epochs.")
            return Column("epoch", meaning("epoch"), cells.index, value, frame.size)
    return None
