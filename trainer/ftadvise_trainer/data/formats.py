"""Reads one file of records: JSON, JSONL, CSV or Parquet, or one split saved by `datasets`."""

from __future__ import annotations

import csv
import importlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".parquet")
_FIELD_LIMIT = 1 << 30


@dataclass(frozen=True)
class Record:
    """One record as it stands in its file.

    Attributes:
        where: File and line, or file and number of the record, for messages.
        fields: Its fields.
    """

    where: str
    fields: dict[str, Any]


@dataclass
class Records:
    """What was read, and what could not be.

    Attributes:
        found: The records, in the order of the file.
        problems: What is wrong with each of the others, one line each.
    """

    found: list[Record] = field(default_factory=list[Record])
    problems: list[str] = field(default_factory=list[str])

    def add(self, where: str, value: Any) -> None:
        """Take a record, or note that it is none."""
        fields = as_dict(value)
        if fields is not None and all(isinstance(key, str) for key in fields):
            self.found.append(Record(where, fields))
        else:
            shown = clean(json.dumps(value, default=str), 60)
            self.problems.append(f"{where}: not a record with named fields: {shown}")


def as_dict(value: object) -> dict[Any, Any] | None:
    """Return `value` if it is a dict."""
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]


def as_list(value: object) -> list[Any] | None:
    """Return `value` if it is a list."""
    return value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType]


def read_file(path: Path, made: Records) -> None:
    """Add the records of a file, and what is wrong with the others.

    Raises:
        TrainError: FT502, it cannot be read at all; FT509, the reader for it is not installed.
    """
    readers: dict[str, Callable[[Path, Records], None]] = {
        ".json": _read_json,
        ".jsonl": _read_lines,
        ".ndjson": _read_lines,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise TrainError(
            f"{clean(path)} is of no kind that can be read",
            code="FT502",
            hint=f"The kinds are {', '.join(SUFFIXES)}.",
        )
    try:
        reader(path, made)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainError(
            f"{clean(path)} cannot be read: {clean(error)}", code="FT502", hint="Is it UTF-8 text?"
        ) from error


def _read_json(path: Path, made: Records) -> None:
    text = path.read_text(encoding="utf-8-sig")
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines()[:2] if line.strip()]
        if len(lines) == 2 and all(_is_json(line) for line in lines):
            _read_lines(path, made)  # JSONL under another name
            return
        made.problems.append(f"{path.name}: not JSON: {clean(error)}")
        return
    whole = as_dict(value)
    items = as_list(value if whole is None else whole.get("data"))
    if items is None:
        made.problems.append(f'{path.name}: neither a list of records nor {{"data": [...]}}')
        return
    for number, item in enumerate(items, 1):
        made.add(f"{path.name} record {number}", item)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _read_lines(path: Path, made: Records) -> None:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{path.name} line {number}"
            try:
                made.add(where, json.loads(line))
            except (ValueError, RecursionError) as error:
                made.problems.append(f"{where}: not JSON: {clean(error)}")


def _read_csv(path: Path, made: Records) -> None:
    before = csv.field_size_limit(_FIELD_LIMIT)
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text)
            for row in rows:
                where = f"{path.name} line {rows.line_num}"
                if None in row or None in row.values():
                    count = len(rows.fieldnames or ())
                    made.problems.append(f"{where}: not {count} cells, as the header has")
                else:
                    made.add(where, row)
    finally:
        csv.field_size_limit(before)


def _read_parquet(path: Path, made: Records) -> None:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise _missing("pyarrow", path) from error
    try:
        rows: Iterable[Any] = parquet.read_table(path).to_pylist()
    except arrow.ArrowException as error:
        made.problems.append(f"{path.name}: not Parquet: {clean(error)}")
        return
    for number, row in enumerate(rows, 1):
        made.add(f"{path.name} record {number}", row)


def read_split(folder: Path, made: Records) -> None:
    """Add the records of one split that `datasets` saved in a folder of its own.

    Raises:
        TrainError: FT509, `datasets` is not installed.
    """
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError as error:
        raise _missing("datasets", folder) from error
    try:
        rows: Iterable[Any] = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        made.problems.append(f"{clean(folder)}: not a saved dataset: {clean(error)}")
        return
    for number, row in enumerate(rows, 1):
        made.add(f"{folder.name} record {number}", row)


def _missing(package: str, path: Path) -> TrainError:
    return TrainError(
        f"{clean(path)} needs {package}, which is not installed",
        code="FT509",
        hint=f"pip install {package}, or convert it to JSONL.",
    )
