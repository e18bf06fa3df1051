"""Turns a batch of rows into columns, all rows with the same names at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from ftadvise.readers.series import rows as short
from ftadvise.readers.series.tables import numbers
from ftadvise.readers.series.thinning import Block, Cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ftadvise.readers.series.keys import Meaning
    from ftadvise.readers.series.rows import Row
    from ftadvise.readers.series.tables import IntArray

    MeaningOf = Callable[[str], Meaning | None]


def block_of(rows: Sequence[Row], split_key: str, meaning_of: MeaningOf) -> Block:
    """Return the columns of `rows`.

    Args:
        rows: The rows, in their order.
        split_key: The key by which they say whether they are about train or eval data, or "".
        meaning_of: Says of a dotted name what it is, None where the column is of no use.
    """
    return _Batch(meaning_of).of(rows, split_key)


class _Batch:
    def __init__(self, meaning_of: MeaningOf) -> None:
        self.meaning_of = meaning_of
        self.found: dict[str, list[Cells]] = {}

    def of(self, rows: Sequence[Row], split_key: str) -> Block:
        for places, alike in _alike(rows):
            if short.sums_up_the_run(alike[0]):
                continue
            if not split_key:
                self._add(places, alike, "", 0)
                continue
            prefixes = [short.prefix_of(row, split_key) for row in alike]
            for prefix in dict.fromkeys(prefixes):
                mine = [place for place, own in enumerate(prefixes) if own == prefix]
                self._add(places[mine], [alike[place] for place in mine], prefix, 0)
        columns = {name: _in_order(parts) for name, parts in self.found.items()}
        return Block(np.ones(len(rows), dtype=np.int64), columns)

    def _add(self, places: IntArray, rows: Sequence[Row], prefix: str, depth: int) -> None:
        for key in rows[0]:
            name = prefix + key
            values = [row[key] for row in rows]
            kinds = set(map(type, values))
            if dict in kinds and depth < 2:
                inner = [place for place, value in enumerate(values) if isinstance(value, dict)]
                own = places[inner]
                for below, alike in _alike([cast("Row", values[place]) for place in inner]):
                    self._add(own[below], alike, f"{name}.", depth + 1)
            index, value = numbers(values)
            if not value.size:
                continue
            means = self.meaning_of(name)
            if means is not None:
                self.found.setdefault(name, []).append(Cells(means, places[index], value))


def _alike(rows: Sequence[Row]) -> Iterable[tuple[IntArray, list[Row]]]:
    """Yield the rows that have the same names in the same order, and their places."""
    groups: dict[tuple[str, ...], tuple[list[int], list[Row]]] = {}
    for place, row in enumerate(rows):
        names = tuple(row)
        group = groups.get(names)
        if group is None:
            group = groups[names] = ([], [])
        group[0].append(place)
        group[1].append(row)
    for places, own in groups.values():
        yield np.array(places, dtype=np.int64), own


def _in_order(parts: list[Cells]) -> Cells:
    if len(parts) == 1:
        return parts[0]
    index = np.concatenate([part.index for part in parts])
    value = np.concatenate([part.value for part in parts])
    order = np.argsort(index, kind="stable")
    return Cells(parts[0].meaning, index[order], value[order])
