"""Lists of rows that are too long to be kept as Python objects: columns that grow in batches.

Up to `FEW` rows stay as they are, and everything about them is decided as in a short log. More
are turned into arrays as they come, and when those grow beyond `MAX_ROWS` or `MAX_CELL_BYTES`
neighbouring rows are averaged (see `thinning`), so that a log of any length takes bounded memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.readers.series import rows as short
from ftadvise.readers.series.batches import block_of
from ftadvise.readers.series.tables import Column, Table
from ftadvise.readers.series.thinning import Block, joined, paired
from ftadvise.readers.wanted import ANY, Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ftadvise.readers.series.keys import Meaning
    from ftadvise.readers.series.rows import Row

FEW = 10_000
BATCH = 16_384
MAX_ROWS = 1 << 19
MAX_CELL_BYTES = 128 * 1024 * 1024
MAX_LABELS = 1000
_PENDING = 1 << 16
_ROOM = 0.75  # of the limits is what is left after rows were averaged, so that it happens rarely


class LongRows:
    """All rows of a list in columns, and the first of them as they were.

    Attributes:
        path: Names of the containers that the list lies in, outermost first.
        head: The first rows.
        size: Number of rows.
    """

    def __init__(self, path: tuple[str, ...], head: list[Row], wanted: Wanted) -> None:
        """Begin with the first `FEW` rows, which decide how the rest is read."""
        self.path = path
        self.head = head
        self.size = 0
        self.left_out = 0
        self._run_key, labels = _labels_of(head)
        self._wanted = wanted
        self._split_key = short.split_key_of(head)
        self._parts = {label: self._part(label) for label in labels}
        self.extend(head)

    def _part(self, label: str) -> _Part:
        path = (*self.path, label) if label else self.path
        return _Part(path, self._split_key, self._wanted)

    def extend(self, rows: Sequence[Row]) -> None:
        """Take further rows."""
        self.size += len(rows)
        if not self._run_key:
            self._parts[""].extend(rows)
        else:
            by_label: dict[str, list[Row]] = {}
            for row in rows:
                label = short.label_of({self._run_key: row.get(self._run_key)})
                by_label.setdefault(label, []).append(row)
            for label, own in by_label.items():
                if label not in self._parts and len(self._parts) >= MAX_LABELS:
                    self.left_out += len(own)
                    continue
                if label not in self._parts:
                    self._parts[label] = self._part(label)
                self._parts[label].extend(own)
        self._shorten()

    def _shorten(self) -> None:
        parts = self._parts.values()
        if not _too_many(parts, 1.0):
            return
        for part in parts:
            part.compact()  # many small pieces may be all that it is
        while _too_many(parts, _ROOM):
            largest = max(parts, key=lambda part: part.bytes)
            if not largest.halve():
                return

    @property
    def notes(self) -> tuple[str, ...]:
        """What became of the rows, one sentence each."""
        notes: list[str] = []
        most = max(part.weight for part in self._parts.values())
        if most > 1:
            forced = any(part.forced for part in self._parts.values())
            rest = "evaluations and non-finite values too" if forced else "evaluations are kept"
            notes.append(
                f"The log has {self.size:,} rows: train losses of neighbouring rows were averaged, "
                f"up to {most} into one; {rest}."
            )
        if self.left_out:
            notes.append(
                f"More than {MAX_LABELS} runs in the log; {self.left_out:,} rows of the rest were "
                "left out."
            )
        return tuple(notes)

    def tables(self, path: tuple[str, ...], other: list[str]) -> list[Table]:
        """Return one table per run; names without a meaning are added to `other`.

        Args:
            path: Names of the containers, as a search came to the list.
            other: Gets the names.
        """
        return [
            part.table((*path, label) if label else path, other, self.head)
            for label, part in self._parts.items()
        ]


class Collector:
    """Takes rows one batch after the other; gives a list of them, or `LongRows` of many."""

    def __init__(self, path: tuple[str, ...] = (), wanted: Wanted = ANY) -> None:
        """Begin without rows.

        Args:
            path: Names of the containers that the list lies in, outermost first.
            wanted: Series that are kept whatever their names mean.
        """
        self.path = path
        self.wanted = wanted
        self._few: list[Row] = []
        self._long: LongRows | None = None

    def extend(self, rows: list[Row]) -> None:
        """Take further rows."""
        if self._long is not None:
            self._long.extend(rows)
            return
        self._few.extend(rows)
        if len(self._few) > FEW and not short.are_points(self._few, self.path):
            self._long = LongRows(self.path, self._few[:FEW], self.wanted)
            for start in range(FEW, len(self._few), BATCH):
                self._long.extend(self._few[start : start + BATCH])
            self._few = []

    def result(self) -> list[Row] | LongRows:
        """Return what was taken."""
        return self._few if self._long is None else self._long


def _too_many(parts: Collection[_Part], share: float) -> bool:
    """Return whether rows take more than a share of what they may take."""
    size, taken = sum(part.size for part in parts), sum(part.bytes for part in parts)
    return size > share * MAX_ROWS or taken > share * MAX_CELL_BYTES


def _labels_of(head: list[Row]) -> tuple[str, list[str]]:
    """Return the key that tells runs apart and the runs so far; "" where the rows are one run."""
    parts = short.by_run(head)
    labels = [label for label, _ in parts]
    if labels == [""]:
        return "", labels
    return next(key for key in short.RUN_KEYS if key in head[0]), labels


class _Part:
    """The rows of one run."""

    def __init__(self, path: tuple[str, ...], split_key: str, wanted: Wanted) -> None:
        self.path = path
        self.wanted = wanted
        self.split_key = split_key
        self.weight = 1
        self.forced = False
        self.size = 0
        self.bytes = 0
        self._names: dict[str, Meaning | None] = {}
        self._blocks: list[Block] = []
        self._pending: list[Block] = []
        self._pending_rows = 0

    def extend(self, rows: Sequence[Row]) -> None:
        block = block_of(rows, self.split_key, self.meaning)
        self._pending.append(block)
        self._pending_rows += block.size
        self.size += block.size
        self.bytes += block.bytes
        if self._pending_rows >= _PENDING:
            self._settle()

    def _settle(self) -> None:
        """Bring the latest rows to the weight of those before."""
        if not self._pending:
            return
        block = joined(self._pending)
        self._pending, self._pending_rows = [], 0
        weight = 1
        while weight < self.weight:
            block = paired(block, weight)
            weight *= 2
        self._take([*self._blocks, block])

    def _take(self, blocks: list[Block]) -> None:
        self._blocks = blocks
        self.size = sum(block.size for block in blocks)
        self.bytes = sum(block.bytes for block in blocks)

    def compact(self) -> None:
        """Put all pieces together."""
        self._settle()
        if len(self._blocks) > 1:
            blocks, self._blocks = self._blocks, []
            self._take([joined(blocks)])

    def halve(self) -> bool:
        """Average neighbours; return whether that made the part smaller."""
        self.compact()
        if not self._blocks:
            return False
        before = self.bytes
        self.weight *= 2
        block = paired(self._blocks.pop(), self.weight // 2)
        if block.bytes > 0.75 * before:
            block = paired(block, self.weight, force=True)
            self.forced = True
        self._take([block])
        return self.bytes < before

    def meaning(self, name: str) -> Meaning | None:
        """Return what a column is, None where that is nothing known."""
        if name not in self._names:
            if len(self._names) >= short.MAX_COLUMNS:
                return None
            self._names[name] = short.meaning_of(name, self.path, self.wanted)
        return self._names[name]

    def table(self, path: tuple[str, ...], other: list[str], head: Sequence[Row]) -> Table:
        """Return all rows; names without a meaning are added to `other`."""
        self.compact()
        block = self._blocks[0]
        other.extend(name for name, means in self._names.items() if means is None)
        columns = [
            Column(name, cells.meaning, cells.index, cells.value, block.size)
            for name, cells in ((n, block.columns[n]) for n in self._names if n in block.columns)
        ]
        table = Table(path, columns, rows=True)
        table.summary = short.summary_of(table, head)
        return table
