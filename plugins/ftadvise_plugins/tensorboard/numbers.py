"""Numbers from the same columns of many records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ftadvise_plugins.tensorboard.event import width

if TYPE_CHECKING:
    from ftadvise_plugins.tensorboard.event import Scalar

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.uint8]
"""The bytes of records of one length, shape (n, length)."""


def fixed(rows: Rows, start: int, kind: str) -> FloatArray:
    """Return the numbers of the numpy type `kind` that begin at the column `start`."""
    size = np.dtype(kind).itemsize
    values = np.ascontiguousarray(rows[:, start : start + size]).view(kind)[:, 0]
    return values.astype(np.float64)


def varints(rows: Rows, start: int, end: int) -> IntArray:
    """Return the varints in the columns from `start` to `end`, as int64."""
    value = np.zeros(rows.shape[0], dtype=np.uint64)
    for place in range(end - start):
        value |= (rows[:, start + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return value.view(np.int64)


def value_of(rows: Rows, scalar: Scalar) -> FloatArray:
    """Return the values of a scalar in all rows."""
    start, end = scalar.value
    kind = scalar.kind
    if kind == "bfloat16":
        return _bfloat16(fixed(rows, start, "<u2").astype(np.uint32))
    if width(kind):
        return fixed(rows, start, kind)
    whole = varints(rows, start, end)
    if kind == "int":
        return whole.astype(np.float64)
    if kind == "uint":
        return whole.view(np.uint64).astype(np.float64)
    bits = (whole & 0xFFFF).astype(np.uint16)
    if kind == "half":
        return bits.view(np.float16).astype(np.float64)
    return _bfloat16(bits.astype(np.uint32))


def _bfloat16(bits: npt.NDArray[np.uint32]) -> FloatArray:
    return (bits << 16).view(np.float32).astype(np.float64)
