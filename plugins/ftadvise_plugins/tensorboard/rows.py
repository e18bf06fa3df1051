"""From the scalars of a run to the table of its rows, one for each step as it was written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.series.keys import Meaning, is_split_word, meaning, split_of
from ftadvise.readers.series.tables import Column, Table
from ftadvise_plugins.tensorboard.files import split_in_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise_plugins.tensorboard.layouts import Batch
    from ftadvise_plugins.tensorboard.numbers import IntArray

_STEP = meaning("global_step")
_KERAS_EVALUATION = re.compile(r"evaluation_.+_vs_iterations$")
_HAS_NUMBER = re.compile(r"\d")


@dataclass(frozen=True, eq=False)
class Stream:
    """The scalars of one folder.

    Attributes:
        folder: Its name below the folder of the run; empty for the run's own.
        above: Names of folders that say which data the scalars are about.
        names: Names of the scalars, by number.
        batch: The scalars in the order of writing.
    """

    folder: str
    above: tuple[str, ...]
    names: Sequence[str]
    batch: Batch


def table(streams: Sequence[Stream]) -> Table:
    """Return all scalars of a run as one table of rows, each with its step."""
    steps: list[IntArray] = []
    walls: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    rows: list[IntArray] = []
    count = 0
    for stream in streams:
        batch = stream.batch
        new = _new_rows(stream)
        rows.append(np.cumsum(new) - 1 + count)
        steps.append(batch.step[new])
        walls.append(np.maximum.accumulate(batch.wall[new]) if new.any() else batch.wall[:0])
        count += steps[-1].size
    step = np.concatenate(steps).astype(np.float64)
    place = _places(steps, walls)
    made = Table((), rows=True)
    made.columns.append(_step_column(step, place))
    for stream, own in zip(streams, rows, strict=True):
        made.columns += _columns(stream, place[own], count)
    return made


def _new_rows(stream: Stream) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which scalars begin a row: at another step, or a second loss of one name."""
    batch = stream.batch
    new: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        np.diff(batch.step, prepend=batch.step[:1] - 1) != 0
    )
    row = np.cumsum(new)
    for number, name in enumerate(stream.names):
        if meaning(name).role in ("train", "eval"):
            mine = np.flatnonzero(batch.tag == number)
            new[mine[1:][row[mine[1:]] == row[mine[:-1]]]] = True
    return new


def _step_column(step: np.ndarray[tuple[int], np.dtype[np.float64]], place: IntArray) -> Column:
    in_order = np.empty(step.size)
    in_order[place] = step
    return Column("step", _STEP, np.arange(step.size), in_order, step.size)


def _places(
    steps: Sequence[IntArray], walls: Sequence[np.ndarray[tuple[int], np.dtype[np.float64]]]
) -> IntArray:
    """Return the place of every row among the rows of all streams: by the clock, or by step."""
    if len(steps) == 1:
        return np.arange(steps[0].size)
    by_clock = all(wall.size == 0 or (wall[0] > 0 and np.isfinite(wall).all()) for wall in walls)
    key = np.concatenate(walls if by_clock else [np.maximum.accumulate(s) for s in steps])
    order = np.argsort(key, kind="stable")
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    return place


def _columns(stream: Stream, place: IntArray, size: int) -> list[Column]:
    found: list[tuple[int, Column]] = []  # with the place of the first value
    above = stream.above
    if not above and any(map(_KERAS_EVALUATION.match, stream.names)):
        above = ("validation",)  # Keras writes these into the file of the validation only
    order = np.argsort(stream.batch.tag, kind="stable")
    tags = stream.batch.tag[order]
    for number, name in enumerate(stream.names):
        first, last = np.searchsorted(tags, [number, number + 1])
        mine = order[first:last]
        if not mine.size:
            continue
        index = place[mine]
        once = np.append(index[1:] != index[:-1], True)  # of two in one row the later stays
        key, means = _named(stream.folder, name, above)
        column = Column(key, means, index[once], stream.batch.value[mine][once], size)
        found.append((int(mine[0]), column))
    return [column for _, column in sorted(found, key=lambda pair: pair[0])]


def _named(folder: str, tag: str, above: tuple[str, ...]) -> tuple[str, Meaning]:
    """Return the name of a series in the run, and what it means."""
    if not folder:
        return tag, meaning(tag, above)
    together = split_in_name(folder, tag)
    if together:
        return together, meaning(together)
    if "/" in folder:  # of something else that lies below
        return tag, Meaning("other")
    return f"{folder}.{tag}", meaning(tag, (*above, folder))


def by_run(made: Table) -> list[Table]:
    """Split a table with `fold_1/loss` and `fold_2/loss` into one table per run."""
    runs: dict[str, list[Column]] = {}
    tails: dict[str, int] = {}
    shared: list[Column] = []
    for column in made.columns:
        run, tail = _run_in(column.name)
        (runs.setdefault(run, []) if run else shared).append(column)
        if run and meaning(tail).role in ("train", "eval"):
            tails[tail] = tails.get(tail, 0) + 1
    if len(runs) < 2 or max(tails.values(), default=0) < 2:
        return [made]
    return [Table((run,), [*shared, *columns], rows=True) for run, columns in runs.items()]


def _run_in(name: str) -> tuple[str, str]:
    """Return the part of a name that says which run it is of, and the rest."""
    parts = name.split("/")
    run = [p for p in parts[:-1] if _HAS_NUMBER.search(p) and not split_of(p)]
    rest = [p for p in parts if p not in run]
    tail = [p for p in rest[:-1] if is_split_word(p)] + rest[-1:]
    return "/".join(run), "/".join(tail)
