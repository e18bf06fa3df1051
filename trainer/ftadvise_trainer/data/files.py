"""Reads records from files: JSON, JSONL, CSV, Parquet, and folders of them or of `datasets`."""

from __future__ import annotations

import csv
import importlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".parquet")
HELD_OUT = ("eval", "validation", "valid", "val", "dev", "test")
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


def read(path: Path, side: str = "train") -> Records:
    """Return the records of a file or folder.

    In a folder, files and splits named eval, validation, dev or test are the eval side, and all
    others the train side.

    Args:
        path: A file, a folder of files, or a folder saved by `datasets`.
        side: `train` or `eval`; of no matter for a single file.

    Raises:
        TrainError: FT502, there is nothing to read; FT509, the reader for it is not installed.
    """
    if not path.exists():
        raise TrainError(
            f"data.{side}: there is no {clean(path)}",
            code="FT502",
            hint="Paths are relative to the folder of the YAML.",
        )
    made = Records()
    if path.is_file():
        _read_file(path, made)
    elif is_saved_dataset(path):
        _read_saved(path, side, made)
    else:
        files = [file for file in _files(path) if is_held_out(file.stem) == (side == "eval")]
        # An eval folder of its own need not say so in the name of each file.
        for file in files or (_files(path) if side == "eval" else []):
            _read_file(file, made)
    if not made.found and not made.problems:
        raise TrainError(
            f"data.{side}: there are no records in {clean(path)}",
            code="FT502",
            hint=f"It may hold {', '.join(SUFFIXES)} files or a dataset saved to disk.",
        )
    return made


def has_eval(path: Path) -> bool:
    """Say whether a folder holds an eval side besides the train side."""
    if not path.is_dir():
        return False
    if is_saved_dataset(path):
        return any(is_held_out(name) for name in _splits(path))
    sides = {is_held_out(file.stem) for file in _files(path)}
    return sides == {True, False}


def is_held_out(name: str) -> bool:
    """Say whether the name of a file or split says that it is held out."""
    return name.lower().replace("-", "_").replace(".", "_").split("_")[0] in HELD_OUT


def is_saved_dataset(path: Path) -> bool:
    """Say whether a folder was saved by `datasets`."""
    return any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_file() and f.suffix.lower() in SUFFIXES)


def _read_file(path: Path, made: Records) -> None:
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


def _splits(path: Path) -> list[str]:
    """Return the names of the splits in a folder saved by `datasets`; none for a single one."""
    try:
        value: Any = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))
        return [str(name) for name in value["splits"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _read_saved(path: Path, side: str, made: Records) -> None:
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError as error:
        raise _missing("datasets", path) from error
    wanted = [name for name in _splits(path) if is_held_out(name) == (side == "eval")]
    folders = [path / name for name in wanted] if _splits(path) else [path]
    for folder in folders:
        try:
            rows: Iterable[Any] = datasets.load_from_disk(str(folder))
        except (OSError, ValueError, KeyError) as error:
            made.problems.append(f"{clean(folder)}: not a saved dataset: {clean(error)}")
            continue
        for number, row in enumerate(rows, 1):
            made.add(f"{folder.name} record {number}", row)


def _missing(package: str, path: Path) -> TrainError:
    return TrainError(
        f"{clean(path)} needs {package}, which is not installed",
        code="FT509",
        hint=f"pip install {package}, or convert it to JSONL.",
    )
