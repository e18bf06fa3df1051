"""The masked CRC-32C of TFRecord files, for many records of one length at a time.

The checksum of a message is linear over GF(2): each byte contributes a term that depends on its
value and on how many bytes follow it, and the terms are combined by exclusive or. So records that
differ in a few bytes only need the terms of those bytes, whatever their length.

Source of polynomial and mask: RFC 3720, appendix B.4, and TensorFlow's `core/lib/hash/crc32c.h`.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
U8 = npt.NDArray[np.uint8]

_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_ALL_ONES = 0xFFFFFFFF
BLOCK = 1024
LONGEST = 16 * 1024  # of the messages of one length that are checked at once


@functools.cache
def terms(size: int = BLOCK) -> U32:
    """Return what a byte contributes: `terms()[k, b]` for byte `b` with `k` < `size` after it."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, (first >> 1) ^ np.uint32(_POLYNOMIAL), first >> 1)
    table = np.empty((size, 256), dtype=np.uint32)
    table[0] = first
    for place in range(1, size):
        before = table[place - 1]
        table[place] = (before >> 8) ^ first[before & 0xFF]
    return table


def masked(data: bytes | memoryview) -> int:
    """Return the masked CRC-32C of `data`, as it stands in a record."""
    table, state = terms(), _ALL_ONES
    for start in range(0, len(data), BLOCK):
        block = np.frombuffer(data[start : start + BLOCK], dtype=np.uint8)
        state = _advance(table, block, state)
    return int(mask(np.array([state ^ _ALL_ONES], dtype=np.uint32))[0])


def _advance(table: U32, block: U8, state: int) -> int:
    carried = np.frombuffer(state.to_bytes(4, "little"), dtype=np.uint8)
    if block.size < 4:  # the state reaches beyond the block
        for byte in block.tolist():
            state = (state >> 8) ^ int(table[0, (state ^ byte) & 0xFF])
        return state
    mixed = block.copy()
    mixed[:4] ^= carried
    after = np.arange(block.size - 1, -1, -1)
    return int(np.bitwise_xor.reduce(table[after, mixed]))


def mask(crc: U32) -> U32:
    """Return checksums as TensorFlow stores them: rotated by 15 bits, plus a constant."""
    return _rotated(crc, 17) + np.uint32(_MASK_DELTA)


def unmask(stored: U32) -> U32:
    """Return the checksums behind `stored`."""
    return _rotated(stored - np.uint32(_MASK_DELTA), 15)


def _rotated(bits: U32, left: int) -> U32:
    return (bits << np.uint32(left)) | (bits >> np.uint32(32 - left))


def agree(rows: U8, stored: U32, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which rows have the checksum that was stored with them.

    Args:
        rows: Messages of one length, shape (n, length), length <= `LONGEST`, alike outside
            `columns`.
        stored: Their masked checksums, shape (n,).
        columns: The bytes in which the rows may differ.
    """
    length = rows.shape[1]
    table = terms() if length <= BLOCK else terms(LONGEST)
    alike = rows[0].copy()
    alike[columns] = 0  # whose terms are 0
    crc = np.full(rows.shape[0], _unmasked(alike.tobytes()), dtype=np.uint32)
    for column in columns.tolist():
        crc ^= table[length - 1 - column][rows[:, column]]
    found: npt.NDArray[np.bool_] = crc == unmask(stored)
    return found


def of_lengths(windows: U8) -> U32:
    """Return the masked checksums of eight-byte messages, shape (n, 8)."""
    table = terms()
    crc = np.full(windows.shape[0], _unmasked(bytes(8)), dtype=np.uint32)
    for column in range(8):
        crc ^= table[7 - column][windows[:, column]]
    return mask(crc)


def _unmasked(data: bytes) -> int:
    return int(unmask(np.array([masked(data)], dtype=np.uint32))[0])
