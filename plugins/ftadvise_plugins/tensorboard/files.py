"""Which event files belong to one run: those of its folder and of the folders of its splits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.keys import is_split_word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_FILES = 200
_MOST_ENTRIES = 10_000
_DEEPEST = 4  # folders below that of the run
_MARK = "tfevents"
_NUMBERS = re.compile(r"\d+")
_SESSION = re.compile(r"\d{10}(?:\.\d+)?$")  # where hyperparameters are written


def gather(path: Path) -> Sequence[Path]:
    """Return all event files of the run that `path` belongs to, in the order of writing.

    Keras writes one folder per split (`train`, `validation`); `add_scalars` writes one per name
    beside the files of the run itself (`loss_val`, or `loss/val` in tensorboardX).
    """
    folder = _root(path.parent)
    files = _files(folder)
    if files:
        files += _beside(folder, _DEEPEST)
    else:
        parts = [sub for sub in _entries(folder) if is_split_word(sub.name) and _is_folder(sub)]
        files = [file for part in parts for file in _files(part)]
    return files[:MOST_FILES] if path in files[:MOST_FILES] else [path]


def _root(folder: Path) -> Path:
    """Return the folder of the run that the files in `folder` belong to."""
    if not _is_part(folder.name):
        return folder
    for above in folder.parents[:_DEEPEST]:
        if _files(above):
            return above
    above = folder.parent
    splits = [sub for sub in _entries(above) if is_split_word(sub.name) and _is_folder(sub)]
    return above if is_split_word(folder.name) and len(splits) > 1 else folder


def _is_part(name: str) -> bool:
    """Whether a folder of this name holds a part of a run.

    `loss_val` and `losses_val_loss` are of `add_scalars`, numbers of hyperparameters.
    """
    if is_split_word(name) or is_session(name):
        return True
    return any(is_split_word(part) for part in name.split("_")[1:][-2:])


def _beside(folder: Path, deepest: int) -> list[Path]:
    """Return the files of the parts of a run in the folders below its own."""
    found: list[Path] = []
    for sub in filter(_is_folder, _entries(folder)):
        files = _files(sub)
        if _is_part(sub.name):
            found += files
        elif not files and deepest > 1 and len(found) < MOST_FILES:
            found += _beside(sub, deepest - 1)
    return found


def is_session(folder: str) -> bool:
    """Whether a folder of this name holds hyperparameters, and final values beside them."""
    return _SESSION.match(folder) is not None


def split_in_name(folder: str, tag: str) -> str:
    """Return the name under which `add_scalars` was given what it wrote to `folder` as `tag`.

    It writes the value `val` of `loss` as `loss` into the folder `loss_val`, or `loss/val`.
    """
    for stem in (f"{tag}/", tag.replace("/", "_").replace(" ", "_") + "_"):
        if tag and folder.startswith(stem) and len(folder) > len(stem):
            return f"{tag}/{folder[len(stem) :]}"
    return ""


def _files(folder: Path) -> list[Path]:
    found = [entry for entry in _entries(folder) if _MARK in entry.name and _is_file(entry)]
    return sorted(found, key=_order)


def _order(path: Path) -> tuple[list[int], str]:
    """Return the time in the name first: events.out.tfevents.TIME.HOST.PROCESS.COUNT."""
    after = path.name.partition(_MARK)[2]
    times = [int(digits[:18]) for digits in _NUMBERS.findall(after[:200])]
    return times[:1] + times[-1:], path.name


def _entries(folder: Path) -> list[Path]:
    found: list[Path] = []
    try:
        for entry in folder.iterdir():
            found.append(entry)
            if len(found) >= _MOST_ENTRIES:
                break
    except OSError:
        return []
    return sorted(found)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not path.is_symlink()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink()
    except OSError:
        return False
