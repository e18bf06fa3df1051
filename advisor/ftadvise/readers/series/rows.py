"""From a list of rows (one JSON object per moment of a run) to columns."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ftadvise.readers.series.keys import Meaning, is_split_word, meaning
from ftadvise.readers.series.tables import Column, Table, number
from ftadvise.readers.wanted import ANY, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ftadvise.run import FloatArray

Row = dict[str, Any]

MAX_COLUMNS = 2000
# Where one list holds rows of several runs, or of train and eval, these say which.
RUN_KEYS = (
    "run", "run_id", "run_name", "fold", "seed", "trial", "experiment", "model", "model_name",
    "client", "client_id",
)  # fmt: skip
SPLIT_KEYS = ("split", "mode", "phase", "stage", "type", "event", "subset", "set", "kind")
OWNER_KEYS = ("name", "id", "label", "dataset", "task")
_LABEL_KEYS = (*RUN_KEYS, *OWNER_KEYS)
_VALUE_KEYS = ("value", "v", "y")
# transformers ends its history with a row of means over the whole run.
_END_OF_RUN = ("train_runtime", "train_samples_per_second")


def tables_of(
    rows: Sequence[Row], path: tuple[str, ...], other: list[str], wanted: Wanted = ANY
) -> list[Table]:
    """Return one table per run in `rows`; names without a meaning are added to `other`.

    Columns that are `wanted` are kept whatever their names mean.
    """
    return [
        _table(part, (*path, label) if label else path, other, wanted)
        for label, part in by_run(rows)
    ]


def label_of(row: Row) -> str:
    """Return what `row` calls itself, such as "fold 1", or ""."""
    for key in _LABEL_KEYS:
        value = row.get(key)
        if isinstance(value, str) and value:
            return value[:80]
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{key} {str(value)[:20]}"
    return ""


def by_run(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the rows of each run with its label, which is "" where they are of one."""
    key = next((key for key in RUN_KEYS if key in rows[0]), None)
    parts: dict[str, list[Row]] = {}
    if key is not None:
        for row in rows:
            parts.setdefault(label_of({key: row.get(key)}), []).append(row)
    # One row per label is a summary, not a history; one label is one run.
    if len(parts) < 2 or 2 * len(parts) > len(rows):
        return [("", list(rows))]
    return list(parts.items())


class _Values:
    """A column while its rows are read."""

    def __init__(self, means: Meaning) -> None:
        self.means = means
        self.index: list[int] = []
        self.value: list[float] = []


def _table(rows: Sequence[Row], path: tuple[str, ...], other: list[str], wanted: Wanted) -> Table:
    found = _Columns(path, split_key_of(rows), wanted)
    for place, row in enumerate(rows):
        if not sums_up_the_run(row):
            found.add(place, row)
    other.extend(name for name, column in found.columns.items() if column is None)
    table = Table(path, [_column(name, c, len(rows)) for name, c in found.known()], rows=True)
    table.summary = summary_of(table, rows)
    return table


def sums_up_the_run(row: Row) -> bool:
    """Return whether a row is about the whole run and not about a moment of it."""
    # A log that counts tokens has `train_runtime` in every row; the last has no loss.
    return "loss" not in row and (_END_OF_RUN[0] in row or _END_OF_RUN[1] in row)


def are_points(rows: Sequence[Row], path: tuple[str, ...]) -> str:
    """Return the key of the values in a list of `{step, value}`, or "" where it is none."""
    key = next((key for key in _VALUE_KEYS if key in rows[0]), "")
    if not path or any(meaning(name).role in ("train", "eval") for name in rows[0]):
        return ""
    return key


def are_numbered(lists: list[list[Any]]) -> bool:
    """Return whether `[[10, 2.5, 2.6], [20, 2.4, 2.5]]` are rows that begin with a step."""
    if len(lists) < 2 or len(lists[0]) < 3 or {len(x) for x in lists} != {len(lists[0])}:
        return False
    first = [number(x[0]) for x in lists]
    steps = [x for x in first if x is not None and x == np.floor(x)]
    return len(steps) == len(lists) and all(a < b for a, b in itertools.pairwise(steps))


def axis_of(prefix: str, places: FloatArray, path: tuple[str, ...]) -> str:
    """Return whether numbers beside values are steps or epochs."""
    named = meaning(prefix).role if prefix else "other"
    if named in ("step", "epoch"):
        return named
    above = " ".join(path).lower()
    if "step" in above or "iter" in above:
        return "step"
    whole = bool(np.all(places == np.floor(places)))
    many = float(places.max()) >= 100 and float(places.max()) > 10 * places.size
    return "step" if whole and many and "epoch" not in above else "epoch"


def split_key_of(rows: Sequence[Row]) -> str:
    """Return the key by which rows say whether they are about train or eval data, or ""."""
    for key in SPLIT_KEYS:
        seen = {row[key] for row in rows[:1000] if isinstance(row.get(key), str)}
        if any(is_split_word(value) for value in seen):
            return key
    return ""


class _Columns:
    def __init__(self, path: tuple[str, ...], split_key: str, wanted: Wanted) -> None:
        self.path = path
        self.wanted = wanted
        self.split_key = split_key
        self.columns: dict[str, _Values | None] = {}

    def known(self) -> Iterable[tuple[str, _Values]]:
        return ((n, c) for n, c in self.columns.items() if c is not None and c.value)

    def add(self, place: int, row: Row, prefix: str = "", depth: int = 0) -> None:
        if self.split_key and not prefix:
            prefix = prefix_of(row, self.split_key)
        for key, value in row.items():
            name = prefix + key if prefix else key
            if type(value) is float or type(value) is int:
                plain: float | None = value
            elif isinstance(value, dict):
                if depth < 2:
                    self.add(place, cast("Row", value), f"{name}.", depth + 1)
                continue
            else:
                plain = number(value)
            if plain is None:
                continue
            column = self._column(name)
            if column is not None:
                column.index.append(place)
                column.value.append(plain)

    def _column(self, name: str) -> _Values | None:
        if name in self.columns:
            return self.columns[name]
        if len(self.columns) >= MAX_COLUMNS:
            return None
        means = meaning_of(name, self.path, self.wanted)
        column = None if means is None else _Values(means)
        self.columns[name] = column
        return column


def prefix_of(row: Row, split_key: str) -> str:
    """Return what a row that says which data it is about puts before its names, or ""."""
    mark = row.get(split_key)
    return f"{mark}." if isinstance(mark, str) and is_split_word(mark) else ""


def meaning_of(name: str, path: tuple[str, ...], wanted: Wanted) -> Meaning | None:
    """Return what a column is by its dotted name in rows at `path`; None: it is of no use."""
    *above, key = name.split(".")
    means = meaning(key, (*path, *above))
    if means.role == "other" and above and is_split_word(key):  # {"loss": {"train": 1.0}}
        means = meaning(name)
    return None if means.role == "other" and not wanted.names(name) else means


def _column(name: str, values: _Values, size: int) -> Column:
    try:
        array = np.array(values.value, dtype=np.float64)
    except OverflowError:
        array = np.array([number(value) for value in values.value], dtype=np.float64)
    return Column(name, values.means, np.array(values.index, dtype=np.int64), array, size)


def summary_of(table: Table, rows: Sequence[Row]) -> str:
    """Return what each row sums up when the rows are no moments of one run, else ""."""
    axes = [c for c in table.columns if c.meaning.role in ("step", "epoch")]
    if any(np.unique(c.value).size > 1 for c in axes):
        return ""
    if len(rows) == 1:
        return "" if axes else "run"
    for key in _LABEL_KEYS:
        if key in rows[0] and len({label_of({key: row.get(key)}) for row in rows}) == len(rows):
            return key
    # The same planned number of epochs on every row, and nothing that counts: ends of runs.
    planned = any(c.meaning.role == "epoch" and c.value[0] > 1 for c in axes)
    return "run" if planned else ""
