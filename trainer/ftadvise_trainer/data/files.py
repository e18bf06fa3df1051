"""Finds the files of the train and the eval side, in a folder or by name, and reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.data.formats import SUFFIXES, Records, read_file, read_split
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from pathlib import Path

HELD_OUT = ("eval", "validation", "valid", "val", "dev", "test")


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
        read_file(path, made)
    elif is_saved_dataset(path):
        _read_saved(path, side, made)
    else:
        files = [file for file in _files(path) if is_held_out(file.stem) == (side == "eval")]
        # An eval folder of its own need not say so in the name of each file.
        for file in files or (_files(path) if side == "eval" else []):
            read_file(file, made)
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


def _splits(path: Path) -> list[str]:
    """Return the names of the splits in a folder saved by `datasets`; none for a single one."""
    try:
        value: Any = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))
        return [str(name) for name in value["splits"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _read_saved(path: Path, side: str, made: Records) -> None:
    wanted = [name for name in _splits(path) if is_held_out(name) == (side == "eval")]
    for folder in [path / name for name in wanted] if _splits(path) else [path]:
        read_split(folder, made)
