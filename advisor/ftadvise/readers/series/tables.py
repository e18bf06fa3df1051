"""Columns of numbers and the tables they stand in: what every log is before it is a run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.readers.series.keys import Meaning
    from ftadvise.run import FloatArray

IntArray = npt.NDArray[np.int64]

_NUMBER = re.compile(
    r"\s*[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf|infinity)\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class Column:
    """A series of numbers in a log.

    Attributes:
        name: Name within its table, dotted where it was nested.
        meaning: What the name says it is.
        index: Places in the list that hold a value; holes are left out.
        value: The values; NaN and infinities as in the log.
        size: Length of the list, holes included.
        step: Its own steps, where it brings them along.
        epoch: Its own epochs, where it brings them along.
    """

    name: str
    meaning: Meaning
    index: IntArray
    value: FloatArray
    size: int
    step: FloatArray | None = None
    epoch: FloatArray | None = None

    def full(self) -> FloatArray:
        """Return the values at their places in a list with NaN in the holes."""
        array = np.full(self.size, np.nan)
        array[self.index] = self.value
        return array


@dataclass
class Table:
    """Columns that belong to one run.

    Attributes:
        path: Names of the containers it lies in, outermost first.
        columns: The columns with a known meaning.
        rows: Whether it is a list of rows, so that all columns share their places.
        summary: What the rows stand for if not for moments of one run, such as `"fold"`.
    """

    path: tuple[str, ...]
    columns: list[Column] = field(default_factory=list[Column])
    rows: bool = False
    summary: str = ""


def number(value: Any) -> float | None:
    """Return `value` as a float (numbers as strings included), or None when it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _float(value)
    if isinstance(value, str) and len(value) < 64 and _NUMBER.match(value):
        return float(value.strip())  # float() itself keeps \x1c to \x1f, which \s matches
    return None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of a double
        return math.inf if value > 0 else -math.inf


def numbers(values: Sequence[Any]) -> tuple[IntArray, FloatArray]:
    """Return where `values` holds numbers, and the numbers; null and text are left out."""
    if set(map(type, values)) <= {int, float}:
        try:
            return np.arange(len(values)), np.array(values, dtype=np.float64)
        except OverflowError:
            pass
    found = [(i, x) for i, value in enumerate(values) if (x := number(value)) is not None]
    return (
        np.array([i for i, _ in found], dtype=np.int64),
        np.array([x for _, x in found], dtype=np.float64),
    )


def is_numbers(values: list[Any]) -> bool:
    """Return whether `values` is a list of numbers, holes and "No log" cells allowed."""
    kinds = set(map(type, values))
    if kinds <= {int, float}:
        return True
    if not kinds <= {int, float, str, type(None)}:
        return False
    return any(number(value) is not None for value in values)


def finite(values: FloatArray) -> FloatArray:
    """Return `values` with NaN for infinities."""
    return np.where(np.isfinite(values), values, np.nan)


def array_of(value: object) -> list[Any]:
    """Return `value`, which is known to be a list, typed as one."""
    return cast("list[Any]", value)
