"""Makes long lists of rows shorter: neighbouring rows become one, the mean of their train losses.

A log of ten million rows says no more about a run than the means of every ten of them, but takes
ten times the memory. Only what is one of very many is averaged: evaluations, non-finite values
and the places where the step goes back stay as they are, unless they too are very many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ftadvise.readers.series.keys import LOSSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.readers.series.keys import Meaning
    from ftadvise.readers.series.tables import IntArray
    from ftadvise.run import FloatArray

_TRAIN, _EVAL = 1, 2  # bits of what a row holds


@dataclass(frozen=True, eq=False)
class Cells:
    """The values of one column, and the rows that they stand in (increasing)."""

    meaning: Meaning
    index: IntArray
    value: FloatArray


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows one after the other, as columns.

    Attributes:
        weight: For every row how many rows of the log it stands for.
        columns: By name; a column need not have a value in every row.
    """

    weight: IntArray
    columns: dict[str, Cells] = field(default_factory=dict[str, Cells])

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.weight.size

    @property
    def bytes(self) -> int:
        """Memory taken, about."""
        return 8 * self.size + sum(240 + 16 * cells.value.size for cells in self.columns.values())


def joined(blocks: list[Block]) -> Block:
    """Return the rows of all blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    starts = np.cumsum([0, *(block.size for block in blocks[:-1])])
    meanings = {name: c.meaning for block in blocks for name, c in block.columns.items()}
    columns: dict[str, Cells] = {}
    for name, meaning in meanings.items():
        parts = [(s, b.columns[name]) for s, b in zip(starts, blocks, strict=True)
                 if name in b.columns]  # fmt: skip
        index = np.concatenate([cells.index + start for start, cells in parts])
        columns[name] = Cells(meaning, index, np.concatenate([cells.value for _, cells in parts]))
    return Block(np.concatenate([block.weight for block in blocks]), columns)


def paired(block: Block, weight: int, force: bool = False) -> Block:
    """Return `block` with rows of at most `weight` averaged in twos, each with its neighbour.

    A mean is weighted by the rows that went into it. A gradient norm becomes the larger one; of
    steps, epochs, learning rates and the rest the later one stays.

    Args:
        block: The rows.
        weight: Rows that stand for more than this are left alone.
        force: Pair evaluations, non-finite values and rows whose step goes back, too.
    """
    first, second = _pairs(block, weight, force)
    if not first.size:
        return block
    kept = np.ones(block.size, dtype=bool)
    kept[first] = False
    share = block.weight[first] / (block.weight[first] + block.weight[second])
    columns: dict[str, Cells] = {}
    for name, cells in block.columns.items():
        value, there = _dense(cells, block.size)
        both, alone = there[first] & there[second], there[first] & ~there[second]
        into, of = second[both], first[both]
        role = cells.meaning.role
        with np.errstate(invalid="ignore", over="ignore"):
            if role in LOSSES:
                value[into] = share[both] * value[of] + (1 - share[both]) * value[into]
            elif role == "gradient":
                value[into] = np.maximum(value[of], value[into])
        value[second[alone]] = value[first[alone]]
        there[second[alone]] = True
        there = there[kept]
        columns[name] = Cells(cells.meaning, np.flatnonzero(there), value[kept][there])
    total = block.weight.copy()
    total[second] += total[first]
    return Block(total[kept], columns)


def _pairs(block: Block, weight: int, force: bool) -> tuple[IntArray, IntArray]:
    """Return the rows to be paired: each of the first with one further down of the second."""
    kind = np.zeros(block.size, dtype=np.int8)
    special = np.zeros(block.size, dtype=bool)
    for cells in block.columns.values():
        role = cells.meaning.role
        if role in LOSSES:
            kind[cells.index] |= _TRAIN if role == "train" else _EVAL
        if role in ("train", "gradient"):
            special[cells.index[~np.isfinite(cells.value)]] = True
    if not force:
        special |= kind >= _EVAL
    able = block.weight <= weight
    if not force:
        able &= ~special
    firsts: list[IntArray] = []
    seconds: list[IntArray] = []
    for what in range(4):
        rows = np.flatnonzero(able & (kind == what))
        whole = rows.size // 2 * 2
        firsts.append(rows[0:whole:2])
        seconds.append(rows[1:whole:2])
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    if force:
        return first, second
    for value in _axes(block):
        ahead = ~(value[second] < value[first])
        first, second = first[ahead], second[ahead]
    return first, second


def _axes(block: Block) -> Iterator[FloatArray]:
    for cells in block.columns.values():
        if cells.meaning.role in ("step", "epoch"):
            yield _dense(cells, block.size)[0]


def _dense(cells: Cells, size: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    value = np.full(size, np.nan)
    there = np.zeros(size, dtype=bool)
    value[cells.index] = cells.value
    there[cells.index] = True
    return value, there
