"""Reads tables in Parquet and in Arrow's file format (Feather), where pyarrow is installed."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.table_logs.frame import (
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_LABELS,
    MAX_ROWS,
    Cells,
    Frame,
    is_label,
    means_something,
    too_large,
)
from ftadvise.readers.table_logs.frame_tables import runs_of_frame, tables_of_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ftadvise.run import Run

_PARQUET, _ARROW = b"PAR1", b"ARROW1"
_ROWS_AT_ONCE = 65_536
_HINT = 'Install pyarrow (pip install "ftadvise[parquet]"), or save the table as CSV.'


@dataclass(frozen=True)
class _File:
    """An opened table: its columns, and what reads some of them, some rows at a time."""

    schema: Any
    batches: Callable[[list[str]], Iterable[Any]]


def sniff(source: Source) -> float:
    """Return 0.95 for a file that begins as Parquet or Arrow files do, else 0."""
    return 0.95 if source.head.startswith((_PARQUET, _ARROW)) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in a table.

    Raises:
        LogError: FT404 pyarrow is missing or the file is damaged, FT405 no history in it, FT406 a
            table of something else, FT407 over the limits.
    """
    if not sniff(source):
        raise LogError(f"{source.label}: no Parquet or Arrow file", code="FT404")
    frame = _frame(source)
    return runs_of_frame(source, frame, tables_of_frame(frame, source.wanted))


def _frame(source: Source) -> Frame:
    try:
        arrow: Any = importlib.import_module("pyarrow")
    except ImportError:
        what = "Parquet" if source.head.startswith(_PARQUET) else "Arrow"
        message = f"{source.label}: a table in {what} format, which only pyarrow reads"
        raise LogError(message, code="FT404", hint=_HINT) from None
    try:
        opened = _open(source)
        return _filled(source, arrow, opened)
    except (LogError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - pyarrow ends in any error where a file is damaged
        raise LogError(
            f"{source.label}: a damaged table in Parquet or Arrow format",
            code="FT404",
            hint="The file was cut off or damaged; copy it again.",
        ) from None


def _open(source: Source) -> _File:
    path = str(source.path)
    if source.head.startswith(_PARQUET):
        parquet: Any = importlib.import_module("pyarrow.parquet")
        file: Any = parquet.ParquetFile(
            path, thrift_string_size_limit=1 << 24, thrift_container_size_limit=1 << 20
        )

        if int(file.metadata.num_rows) > MAX_ROWS:
            raise too_large(source.label)

        def some(names: list[str]) -> Iterable[Any]:
            yield from file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=names or None)

        return _File(file.schema_arrow, some)
    ipc: Any = importlib.import_module("pyarrow.ipc")
    table: Any = ipc.open_file(path)

    def every(names: list[str]) -> Iterable[Any]:
        for number in range(table.num_record_batches):
            yield table.get_batch(number)

    return _File(table.schema, every)


def _filled(source: Source, arrow: Any, opened: _File) -> Frame:
    kinds = {str(field.name): field.type for field in opened.schema}
    names = [str(field.name) for field in opened.schema][:MAX_COLUMNS]
    single = [name for name in names if names.count(name) == 1]
    types: Any = arrow.types
    numbers = [
        name
        for name in single
        if means_something(name, source.wanted)
        and (types.is_integer(kinds[name]) or types.is_floating(kinds[name]))
    ]
    labels = [name for name in single if is_label(name) and _is_text(types, kinds[name])]
    frame = Frame(tuple(names), 0, labels={name: [] for name in labels})
    parts: dict[str, list[Cells]] = {name: [] for name in numbers}
    for batch in opened.batches([*numbers, *labels]):
        batch.validate(full=True)  # offsets of a damaged file may lead out of its memory
        for name in numbers:
            parts[name].append(_cells(arrow, batch.column(name), frame.size))
        for name in labels:
            frame.labels[name].extend(str(x or "")[:80] for x in batch.column(name).to_pylist())
        frame.size += int(batch.num_rows)
        if frame.size > MAX_ROWS or frame.size * len(numbers) > MAX_CELLS:
            raise too_large(source.label)
    for name, found in parts.items():
        index = np.concatenate([part.index for part in found] or [np.empty(0, dtype=np.int64)])
        if index.size:
            value = np.concatenate([part.value for part in found])
            frame.numbers[name] = Cells(index, value)
    frame.labels = {n: texts for n, texts in frame.labels.items() if len(set(texts)) < MAX_LABELS}
    return frame


def _is_text(types: Any, kind: Any) -> bool:
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind))


def _cells(arrow: Any, column: Any, before: int) -> Cells:
    """Return the numbers of a column; the first of its rows is the row `before` of the table."""
    known = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    plain = column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    return Cells(np.flatnonzero(known) + before, np.asarray(plain, dtype=np.float64)[known])


READER = Reader(
    name="parquet",
    description="tables in Parquet or Arrow (Feather) format, with pyarrow",
    sniff=sniff,
    read=read,
)
