"""The records of a TFRecord file: length, checksum of the length, data, checksum of the data.

A file is read in pieces. A length is believed only when its checksum is right; where it is not,
the next place with a right one is looked for, so that a damaged record costs itself alone.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ftadvise_plugins.tensorboard import crc32c

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

HEADER, FRAME = 12, 16  # bytes before the data, and around it
PIECE = 8 * 1024 * 1024
LARGEST = 1024 * 1024  # no record with scalars is larger; images and graphs are
_FIRST_LOOK, _FURTHEST_LOOK = 4096, 1024 * 1024
_MOST_LENGTHS = 65536

_header = struct.Struct("<QI").unpack_from


@dataclass
class Damage:
    """What could not be read of a file.

    Attributes:
        records: Records with a wrong checksum.
        cut: Whether the file ends in the middle of a record.
    """

    records: int = 0
    cut: bool = False


@dataclass(frozen=True, eq=False)
class Piece:
    """Part of a file with whole records in it.

    Attributes:
        data: The bytes.
        start: Where the data of each record begins.
        length: How long it is.
    """

    data: bytes
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]


def pieces(file: BinaryIO, damage: Damage) -> Iterator[Piece]:
    """Yield the records of a file that are no larger than `LARGEST`, in pieces of some MiB.

    Args:
        file: The file, open at its beginning.
        damage: Gets what could not be read.
    """
    lengths = _Lengths()
    rest = b""
    while fresh := file.read(PIECE):
        data = rest + fresh
        found: list[int] = []
        place = _scan(data, lengths, found, damage)
        if found:
            yield _piece(data, np.array(found, dtype=np.int64))
        rest = data[place:]
        if len(rest) >= HEADER and (length := _header(rest)[0]) > LARGEST:  # not worth reading
            damage.cut |= not _skip(file, length + FRAME - len(rest))
            rest = b""
    damage.cut |= bool(rest)


def first(head: bytes) -> bytes | None:
    """Return the data of the record that `head` begins with, or None when it is no TFRecord."""
    if len(head) < HEADER:
        return None
    length, stored = _header(head)
    if length > LARGEST or not _Lengths().right(length, stored):  # text is told by the length
        return None
    return head[HEADER : HEADER + length]


class _Lengths:
    """Remembers the checksums of lengths, because a log has few different ones."""

    def __init__(self) -> None:
        self.known: dict[int, int] = {}

    def right(self, length: int, stored: int) -> bool:
        if crc32c.masked(length.to_bytes(8, "little")) != stored:
            return False
        if len(self.known) < _MOST_LENGTHS:
            self.known[length] = stored
        return True


def _piece(data: bytes, header: npt.NDArray[np.int64]) -> Piece:
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 8)
    return Piece(data, header + HEADER, windows[header].view("<i8")[:, 0].astype(np.int64))


def _scan(data: bytes, lengths: _Lengths, found: list[int], damage: Damage) -> int:
    """Add where the whole records in `data` begin to `found`; return where they end."""
    place, end = 0, len(data)
    known, add = lengths.known, found.append
    while place + HEADER <= end:
        length, stored = _header(data, place)
        if known.get(length) != stored and not lengths.right(length, stored):
            damage.records += 1
            place = _next(data, place + 1, lengths)
            continue
        following = place + length + FRAME
        if following > end:
            break
        if length <= LARGEST:
            add(place)
        place = following
    return place


def _next(data: bytes, place: int, lengths: _Lengths) -> int:
    """Return where the next right length stands, or the first place where one still may."""
    look = _FIRST_LOOK
    last = len(data) - HEADER
    while place <= last:
        size = min(look, last - place + 1)
        window = np.frombuffer(data, np.uint8, size + HEADER - 1, place)
        windows = np.lib.stride_tricks.sliding_window_view(window, HEADER)
        stored = np.ascontiguousarray(windows[:, 8:]).view("<u4")[:, 0]
        right = np.flatnonzero(crc32c.of_lengths(windows[:, :8]) == stored)
        if right.size:
            return place + int(right[0])
        place += size
        look = min(2 * look, _FURTHEST_LOOK)
    return place


def _skip(file: BinaryIO, ahead: int) -> bool:
    """Go `ahead` bytes on; return whether the file reaches that far."""
    here = file.tell()
    size = file.seek(0, 2)
    file.seek(min(here + ahead, size))
    return here + ahead <= size
