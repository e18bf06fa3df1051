"""Reads the scalars of all events that are laid out alike in one go.

A log writes the same few kinds of event over and over. Two records of one length whose bytes
agree wherever no number and no name stands are parsed alike, so one of them is parsed and the
numbers of all are taken from their columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ftadvise_plugins.protobuf import MalformedMessage
from ftadvise_plugins.tensorboard import crc32c
from ftadvise_plugins.tensorboard.event import Event, parse, width
from ftadvise_plugins.tensorboard.numbers import (
    FloatArray,
    IntArray,
    Rows,
    fixed,
    value_of,
    varints,
)
from ftadvise_plugins.tensorboard.records import Damage, Piece

MOST_LAYOUTS = 32  # of one length in one piece; what is left then is read record by record
_FEW = 8  # long records that are better read one by one


@dataclass(frozen=True, eq=False)
class Batch:
    """Scalars in the order of the file; arrays of one length.

    Attributes:
        tag: Number of the name.
        step: Steps as they stand in the events.
        wall: When they were written, in seconds since 1970.
        value: The numbers.
    """

    tag: IntArray
    step: IntArray
    wall: FloatArray
    value: FloatArray


@dataclass
class Asides:
    """What stands between the scalars.

    Attributes:
        texts: Texts and hyperparameters with their names, as far as `keep` wants them.
        starts: Sessions that start at a step above 0: how many scalars came before, and the step.
    """

    texts: list[tuple[bytes, bytes]]
    starts: list[tuple[int, int]]
    keep: Callable[[bytes], bool]


def scalars(
    piece: Piece, tags: Callable[[bytes], int], asides: Asides, before: int, damage: Damage
) -> Batch:
    """Return the scalars in a piece of a file.

    Args:
        piece: Records of events.
        tags: Gives a name its number, -1 for one that is not wanted.
        asides: Gets texts and starts of sessions.
        before: How many scalars earlier pieces had, for the starts.
        damage: Gets the records with a wrong checksum.
    """
    work = _Work(piece, tags, asides, damage)
    order = np.argsort(piece.length, kind="stable")
    ends = np.flatnonzero(np.diff(piece.length[order], append=-1)) + 1
    begin = 0
    for end in ends.tolist():
        work.same_length(order[begin:end])
        begin = end
    return work.batch(before)


class _Work:
    def __init__(
        self, piece: Piece, tags: Callable[[bytes], int], asides: Asides, damage: Damage
    ) -> None:
        self.bytes = np.frombuffer(piece.data, dtype=np.uint8)
        self.piece = piece
        self.tags = tags
        self.asides = asides
        self.damage = damage
        self.parts: list[tuple[IntArray, Batch]] = []
        self.starts: list[tuple[int, int]] = []

    def same_length(self, records: IntArray) -> None:
        """Read the records with the numbers `records`, which are of one length."""
        length = int(self.piece.length[records[0]])
        if not length:
            return
        most = crc32c.LONGEST if records.size >= _FEW else crc32c.BLOCK
        layouts = 0
        while records.size and layouts < MOST_LAYOUTS and length <= most:
            layouts += 1
            event = self._event(int(records[0]))
            if event is None or not event.scalars or event.texts or event.starts:
                self._one(int(records[0]), event)
                records = records[1:]
                continue
            rows = self._rows(records, length)
            alike = _alike(rows, event)
            if not alike[0]:  # fields that overlap: nothing is laid out like it, not even itself
                self._one(int(records[0]), event)
                records = records[1:]
                continue
            self._many(records[alike], rows[alike], event)
            records = records[~alike]
        for record in records.tolist():
            self._one(record, self._event(record))

    def _event(self, record: int) -> Event | None:
        try:
            return parse(self._data(record))
        except MalformedMessage:
            self.damage.records += 1
            return None

    def _data(self, record: int) -> bytes:
        start = int(self.piece.start[record])
        return self.piece.data[start : start + int(self.piece.length[record])]

    def _rows(self, records: IntArray, length: int) -> Rows:
        """Return the data of records of one length, shape (n, length + 4) with the checksums."""
        windows = np.lib.stride_tricks.sliding_window_view(self.bytes, length + 4)
        rows: Rows = windows[self.piece.start[records]]
        return rows

    def _one(self, record: int, event: Event | None) -> None:
        """Read one record by itself; one without anything for us is not even checked."""
        if event is None or not (event.scalars or event.texts or event.starts):
            return
        data = self._data(record)
        rows = self._rows(np.array([record]), len(data))
        if crc32c.masked(data) != int(rows[:, -4:].copy().view("<u4")[0, 0]):
            self.damage.records += 1
            return
        if event.starts and event.step is not None:
            self.starts.append((record, int(varints(rows, *event.step)[0])))
        self.asides.texts += [(n, text) for n, text in event.texts if self.asides.keep(n)]
        self._take(np.array([record]), rows, event)

    def _many(self, records: IntArray, rows: Rows, event: Event) -> None:
        stored = np.ascontiguousarray(rows[:, -4:]).view("<u4")[:, 0]
        right = crc32c.agree(rows[:, :-4], stored, np.flatnonzero(_varying(event, rows.shape[1])))
        if not right.all():
            self.damage.records += int((~right).sum())
            records, rows = records[right], rows[right]
        self._take(records, rows, event)

    def _take(self, records: IntArray, rows: Rows, event: Event) -> None:
        if not records.size:
            return
        wall = fixed(rows, event.wall, "<f8") if event.wall >= 0 else np.zeros(records.size)
        step = varints(rows, *event.step) if event.step else np.zeros(records.size, np.int64)
        for scalar in event.scalars:
            start, end = scalar.tag
            names: list[bytes] = (
                np.ascontiguousarray(rows[:, start:end]).view(f"V{end - start}")[:, 0].tolist()
                if end > start
                else [b""] * records.size
            )
            tag = np.fromiter(map(self.tags, names), dtype=np.int64, count=records.size)
            value = value_of(rows, scalar)
            keep = tag >= 0
            if keep.any():
                batch = Batch(tag[keep], step[keep], wall[keep], value[keep])
                self.parts.append((records[keep], batch))

    def batch(self, before: int) -> Batch:
        """Return what was read, in the order of the file."""
        if not self.parts:
            empty = np.empty(0, dtype=np.int64)
            return Batch(empty, empty, empty.astype(np.float64), empty.astype(np.float64))
        record = np.concatenate([records for records, _ in self.parts])
        order = np.argsort(record, kind="stable")
        for at, step in self.starts:
            place = int(np.searchsorted(record[order], at))
            self.asides.starts.append((before + place, step))
        batches = [batch for _, batch in self.parts]
        return Batch(
            *(
                np.concatenate([getattr(batch, name) for batch in batches])[order]
                for name in ("tag", "step", "wall", "value")
            )
        )


def _varying(event: Event, length: int) -> npt.NDArray[np.bool_]:
    """Return which bytes differ between events that are laid out like `event`."""
    varies = np.zeros(length, dtype=np.bool_)
    if event.wall >= 0:
        varies[event.wall : event.wall + 8] = True
    for start, end in [event.step or (0, 0), *(s.tag for s in event.scalars)]:
        varies[start:end] = True
    for scalar in event.scalars:
        varies[scalar.value[0] : scalar.value[1]] = True
    return varies


def _alike(rows: Rows, event: Event) -> npt.NDArray[np.bool_]:
    """Return which rows are laid out like `event`, which is the first of them."""
    length = rows.shape[1] - 4
    fixed = ~_varying(event, length)
    edges = np.flatnonzero(np.diff(fixed, prepend=False, append=False)).reshape(-1, 2)
    alike = np.ones(rows.shape[0], dtype=np.bool_)
    for start, end in edges.tolist():
        alike &= (rows[:, start:end] == rows[0, start:end]).all(axis=1)
    # A number of variable length ends in all rows where it ends in the first.
    numbers = [event.step] if event.step else []
    numbers += [s.value for s in event.scalars if not width(s.kind)]
    for start, end in numbers:
        last = np.arange(start, end) == end - 1
        alike &= ((rows[:, start:end] < 0x80) == last).all(axis=1)
    return alike
