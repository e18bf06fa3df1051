"""Finds every loss history in a value as JSON has them, wherever it lies.

Histories come as a list of rows, as an object of parallel lists, as `{epoch: value}`, as a list of
`{step, value}`, or as an object of rows by epoch; at the root or under any name. Numbers that
stand alone are final values and are never taken for a curve.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ftadvise.readers.json_logs.long_rows import LongRows
from ftadvise.readers.series.keys import LOSSES, is_split_word, meaning
from ftadvise.readers.series.rows import (
    Row,
    are_numbered,
    are_points,
    axis_of,
    label_of,
    tables_of,
)
from ftadvise.readers.series.tables import Column, Table, array_of, is_numbers, number, numbers
from ftadvise.readers.wanted import ANY, Wanted

if TYPE_CHECKING:
    from ftadvise.run import FloatArray

MAX_DEPTH = 12
MAX_CHILDREN = 2000  # containers inside one list or object that are looked into
MAX_KEPT = 100  # names kept for messages

_NUMBERED = re.compile(r"\s*(epoch|step|iter|iteration|round)?[ _-]?(\d{1,18})\s*$", re.IGNORECASE)


@dataclass
class Found:
    """What a search came upon.

    Attributes:
        tables: Tables with at least one column that has a meaning.
        other: Names of number series that mean nothing to us, such as accuracies.
        finals: Single numbers by name.
    """

    tables: list[Table] = field(default_factory=list[Table])
    other: list[str] = field(default_factory=list[str])
    finals: dict[str, float] = field(default_factory=dict[str, float])


def search(value: Any, wanted: Wanted = ANY) -> Found:
    """Return the tables in `value` in the order of the file.

    Args:
        value: What stands in the log.
        wanted: Series that are kept whatever their names mean.
    """
    walk = _Walk(wanted)
    walk.visit(value, (), 0)
    for path, columns in walk.groups.items():
        walk.found.tables.extend(_by_prefix(Table(path, columns)))
    walk.found.tables = [table for table in walk.found.tables if table.columns]
    return walk.found


class _Walk:
    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.found = Found()
        self.groups: dict[tuple[str, ...], list[Column]] = {}

    def visit(self, value: Any, path: tuple[str, ...], depth: int) -> None:
        if depth > MAX_DEPTH:
            return
        if isinstance(value, LongRows):
            self.found.tables.extend(value.tables(path, self.found.other))
        elif isinstance(value, dict):
            self._object(cast("Row", value), path, depth)
        elif isinstance(value, list):
            self._array(array_of(cast("object", value)), path, depth)
        elif len(self.found.finals) < MAX_KEPT and (plain := number(value)) is not None:
            self.found.finals.setdefault(".".join(path), plain)

    def _object(self, value: Row, path: tuple[str, ...], depth: int) -> None:
        if self._numbered(value, path, depth):
            return
        children = 0
        for key, child in value.items():
            children += isinstance(child, dict | list)
            if children > MAX_CHILDREN:
                break
            self.visit(child, (*path, key), depth + 1)

    def _numbered(self, value: Row, path: tuple[str, ...], depth: int) -> bool:
        """Take `{"1": ..., "2": ...}` and `{"epoch_1": ...}`; return whether it was one."""
        matches = [_NUMBERED.match(key) for key in value]
        known = [match for match in matches if match]
        if not known or len(known) < len(matches) or (len(known) < 2 and not known[0][1]):
            return False
        places = np.array([float(match[2]) for match in known])
        axis = axis_of(known[0][1] or "", places, path)
        children = list(value.values())
        if is_numbers(children):
            index, values = numbers(children)
            own = {axis: places[index]}
            self._leaf(path, index, values, len(children), **own)
            return True
        if all(isinstance(child, dict) for child in children):
            rows = [
                {axis: place, **child}
                for place, child in zip(places.tolist(), cast("list[Row]", children), strict=True)
            ]
            self._rows(rows, path, depth)
            return True
        return False

    def _array(self, value: list[Any], path: tuple[str, ...], depth: int) -> None:
        kinds = Counter(map(type, value))
        if kinds[dict]:
            self._rows([cast("Row", x) for x in value if isinstance(x, dict)], path, depth)
        elif kinds[list]:
            self._nested(value, path, depth)
        elif value and is_numbers(value):
            index, values = numbers(value)
            self._leaf(path, index, values, len(value))

    def _rows(self, rows: list[Row], path: tuple[str, ...], depth: int) -> None:
        if self._points(rows, path):
            return
        self.found.tables.extend(tables_of(rows, path, self.found.other, self.wanted))
        if len(rows) > MAX_CHILDREN:
            return
        seen: set[str] = set()
        for place, row in enumerate(rows):
            name = label_of(row) or f"[{place}]"
            name = f"{name} [{place}]" if name in seen else name
            seen.add(name)
            for key, child in row.items():
                if isinstance(child, dict | list):
                    self._inside_row(child, (*path, name, key), depth)

    def _inside_row(self, child: Any, path: tuple[str, ...], depth: int) -> None:
        # Plain numbers one level down are columns of the rows; look for lists only.
        if isinstance(child, list):
            self.visit(child, path, depth + 2)
            return
        for key, grandchild in cast("Row", child).items():
            if isinstance(grandchild, dict | list):
                self._inside_row(
                    grandchild, (*path, key), depth + 1
                ) if depth < MAX_DEPTH else None

    def _points(self, rows: list[Row], path: tuple[str, ...]) -> bool:
        """Take a list of `{step, value}` or `{epoch, value}`; return whether it was one."""
        key = are_points(rows, path)
        if not key:
            return False
        index, values = numbers([row.get(key) for row in rows])
        own: dict[str, FloatArray] = {}
        for name in rows[0]:
            role = meaning(name).role
            if role in ("step", "epoch") and role not in own:
                places: list[int] = index.tolist()
                found = [number(rows[place].get(name)) for place in places]
                own[role] = np.array([np.nan if x is None else x for x in found])
        self._leaf(path, index, values, len(rows), **own)
        return True

    def _nested(self, value: list[Any], path: tuple[str, ...], depth: int) -> None:
        """Take `[[step, value], ...]`, or one list per epoch; look inside anything else."""
        lists = [array_of(cast("object", x)) for x in value if isinstance(x, list)]
        if len(lists) != len(value) or not all(is_numbers(x) for x in lists if x):
            for place, child in enumerate(value[:MAX_CHILDREN]):
                self.visit(child, (*path, f"[{place}]"), depth + 1)
            return
        flat = [x for part in lists for x in part]
        index, values = numbers(flat)
        if len(flat) == 2 * len(lists) == index.size and all(len(x) == 2 for x in lists):
            places = values[::2]
            if len(lists) > 1 and bool(np.all(places[1:] > places[:-1])):
                own = {axis_of("", places, path): places}
                self._leaf(path, np.arange(len(lists)), values[1::2], len(lists), **own)
                return
        if are_numbered(lists):  # nothing says which of the columns is what
            if path:
                self.found.other.append(".".join(path))
            return
        epoch = np.concatenate(
            [place + np.arange(1, len(x) + 1) / len(x) for place, x in enumerate(lists) if x]
            or [np.empty(0)]
        )
        self._leaf(path, index, values, len(flat), epoch=epoch[index])

    def _leaf(
        self,
        path: tuple[str, ...],
        index: Any,
        values: FloatArray,
        size: int,
        step: FloatArray | None = None,
        epoch: FloatArray | None = None,
    ) -> None:
        group, parts = path[:-1], path[-1:]
        # `{"train": {"loss": [...]}}` and `{"loss": {"train": [...]}}` are one table.
        if len(path) > 1 and (is_split_word(path[-1]) or is_split_word(path[-2])):
            group, parts = path[:-2], path[-2:]
        name = ".".join(parts)
        last = parts[-1] if parts and not is_split_word(parts[-1]) else name
        means = meaning(last, path[:-1])
        unknown = means.role == "other" and not self.wanted.names(name)
        if unknown or not values.size:
            if name and values.size > 1 and len(self.found.other) < MAX_KEPT:
                self.found.other.append(name)
            return
        column = Column(name, means, index, values, size, step, epoch)
        self.groups.setdefault(group, []).append(column)


def _by_prefix(table: Table) -> list[Table]:
    """Split `{"A/loss": [...], "B/loss": [...]}` into a table per run.

    With a loss of no such name beside them they are no runs but parts of one.
    """
    prefixes: dict[str, set[str]] = {}
    for column in table.columns:
        head, slash, tail = column.name.rpartition("/")
        if column.meaning.role not in LOSSES or is_split_word(head):
            continue
        if not slash:
            return [table]
        prefixes.setdefault(head, set()).add(tail)
    shared = Counter(tail for tails in prefixes.values() for tail in tails)
    runs = [head for head, tails in prefixes.items() if any(shared[tail] > 1 for tail in tails)]
    if len(runs) < 2:
        return [table]
    shared_axes = [c for c in table.columns if c.meaning.role not in LOSSES]
    return [
        Table(
            (*table.path, run),
            [c for c in table.columns if c.name.rpartition("/")[0] == run]
            + [c for c in shared_axes if c.name.rpartition("/")[0] not in runs],
        )
        for run in runs
    ]
