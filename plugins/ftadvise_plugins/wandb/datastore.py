"""The records of a `.wandb` file: the log format of LevelDB behind a header of W&B's own.

A file is a series of blocks of 32 KiB. A record that does not fit into the rest of a block is cut
into fragments. Each fragment has a checksum (plain CRC-32, where LevelDB has CRC-32C), a length and
a kind; what is left at the end of a block is filled with zeros.

Source: https://github.com/google/leveldb/blob/main/doc/log_format.md, and wandb's
`sdk/internal/datastore.py` (versions before 0.31).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b":W&B\xe1\xbe"
HEADER = len(MAGIC) + 1  # and a version, 0
BLOCK = 32 * 1024
LARGEST = 16 * 1024 * 1024  # no record of a history is larger

_BROKEN, _FULL, _FIRST, _MIDDLE, _LAST = 0, 1, 2, 3, 4
_FRAME = 7
_frame = struct.Struct("<IHB").unpack_from
_BEGUN = {kind: zlib.crc32(bytes([kind])) for kind in (_FULL, _FIRST, _MIDDLE, _LAST)}


@dataclass
class Damage:
    """What could not be read of a file.

    Attributes:
        places: Fragments with a wrong checksum, or that are none.
        cut: Whether the file ends in the middle of a record.
    """

    places: int = 0
    cut: bool = False


def records(file: BinaryIO, damage: Damage) -> Iterator[bytes]:
    """Yield the records of a `.wandb` file that are whole.

    Args:
        file: The file, open at its beginning.
        damage: Gets what could not be read.
    """
    parts: list[bytes] = []
    begin = HEADER
    while block := file.read(BLOCK):
        damage.cut = False
        for kind, data in _fragments(block, begin, damage):
            if kind in (_BROKEN, _FULL, _FIRST):
                parts = []
            elif not parts:
                continue  # the beginning was damaged
            parts.append(data)
            if kind in (_FULL, _LAST):
                yield b"".join(parts)
            if kind in (_BROKEN, _FULL, _LAST) or BLOCK * len(parts) > LARGEST:
                parts = []
        begin = 0
    damage.cut |= bool(parts)


def _fragments(block: bytes, place: int, damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield kind and data of the fragments in a block; `_BROKEN` for one that cannot be read."""
    while place + _FRAME <= len(block):
        checksum, length, kind = _frame(block, place)
        start, end = place + _FRAME, place + _FRAME + length
        if kind == 0 and length == 0:  # zeros up to the end of the block
            return
        if kind not in _BEGUN or (end > len(block) == BLOCK):
            damage.places += 1
            yield _BROKEN, b""
            return
        if end > len(block):
            damage.cut = True
            return
        data = block[start:end]
        if zlib.crc32(data, _BEGUN[kind]) == checksum:
            yield kind, data
        else:
            damage.places += 1
            yield _BROKEN, b""
        place = end
    damage.cut |= place < len(block) < BLOCK
