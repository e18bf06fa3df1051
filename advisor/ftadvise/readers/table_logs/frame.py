"""What is kept of a table: the columns that mean something, whatever the table was written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.series.rows import OWNER_KEYS, RUN_KEYS, SPLIT_KEYS
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ftadvise.readers.series.tables import IntArray
    from ftadvise.readers.wanted import Wanted
    from ftadvise.run import FloatArray

MAX_ROWS = 5_000_000
MAX_CELLS = 16_000_000  # numbers that are kept, at 8 or 12 bytes each
MAX_COLUMNS = 2000
MAX_LABELS = 2000  # different labels in a column, beyond which it names no runs

# Columns of text that say whose row it is, and columns that hold "the value" of what is named there.
SERIES_NAMES = ("metric", "metric_name", "metrics", "tag", "key", "variable", "series", "scalar")
VALUE_NAMES = ("value", "metric_value", "scalar_value")
# Settings that no run changes on its way: where they differ, the rows are of several.
SETTING_NAMES = (
    "batch_size", "batch size", "dropout", "weight_decay", "hidden_size", "hidden_dim",
    "num_layers", "n_layers", "optimizer",
)  # fmt: skip
_LABELS = frozenset((*RUN_KEYS, *SPLIT_KEYS, *OWNER_KEYS, *SERIES_NAMES, *SETTING_NAMES))
_ROW_NUMBERS = ("", "Unnamed: 0", "index")


@dataclass(frozen=True, eq=False)
class Cells:
    """The numbers in a column.

    Attributes:
        index: The rows that hold one.
        value: The numbers; NaN and infinities as in the table.
    """

    index: IntArray
    value: FloatArray


@dataclass(eq=False)
class Frame:
    """What is kept of a table.

    Attributes:
        names: All names of the header, in its order.
        size: Number of rows.
        numbers: Columns of numbers whose names mean something, in the order of the header.
        labels: Columns of text that tell runs, splits or series apart: a text for every row.
        notes: What had to be assumed or left out.
    """

    names: tuple[str, ...]
    size: int
    numbers: dict[str, Cells] = field(default_factory=dict[str, Cells])
    labels: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    notes: list[str] = field(default_factory=list[str])


def means_something(name: str, wanted: Wanted) -> bool:
    """Return whether a column called `name` is kept when it holds numbers."""
    return (
        meaning(name.rpartition(" - ")[2]).role != "other"
        or wanted.names(name)
        or name.lower() in VALUE_NAMES
        or name in _ROW_NUMBERS
    )


def is_label(name: str) -> bool:
    """Return whether a column called `name` is kept as text that tells rows apart."""
    return name.lower() in _LABELS


def unique_names(row: Sequence[str]) -> list[str]:
    """Return the names in a header, those that stand twice numbered as pandas does."""
    found: dict[str, int] = {}
    names: list[str] = []
    for cell in row[:MAX_COLUMNS]:
        name = cell.strip().lstrip("\ufeff")
        count = found.get(name, 0)
        found[name] = count + 1
        names.append(f"{name}.{count}" if count and name else name)
    return names


def too_large(label: str) -> LogError:
    """Return the error for a table over the limits."""
    return LogError(
        f"{label}: a table of more than {MAX_ROWS // 10**6} million rows, or "
        f"{MAX_CELLS // 10**6} million numbers",
        code="FT407",
        hint="Give every tenth row, or the columns of step, epoch and loss alone.",
    )


def columns_shown(names: Iterable[str]) -> str:
    """Return the first names of a table for a message."""
    shown = ["".join(filter(str.isprintable, clean(name, 60))) for name in names if name.strip()]
    return ", ".join(shown[:6]) + (", ..." if len(shown) > 6 else "")
