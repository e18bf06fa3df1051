"""Finds the log in a checkpoint folder or an output folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_FILES = 50  # of those without a telling name

_CHECKPOINT = re.compile(r"checkpoint-(\d{1,15})$")
_TELLING = re.compile(r"metric|history|log|loss|train|state", re.IGNORECASE)
LOOKED_FOR = "trainer_state.json, checkpoint-N/trainer_state.json, training_metrics.json, *.json"


def logs_in(folder: Path) -> Iterator[Path]:
    """Yield the files in `folder` that may hold the log, the likeliest first.

    Raises:
        LogError: FT401 when the folder cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir())
        root = folder.resolve()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "cannot be listed"
        raise LogError(f"{clean(folder)}: {reason}", code="FT401") from None
    ours = folder / "training_metrics.json"
    known = [ours] if _lies_in(ours, root) and _is_ours(ours) else []
    known.append(folder / "trainer_state.json")
    known += [entry / "trainer_state.json" for entry in _checkpoints(entries)]
    known.append(ours)
    others = [entry for entry in entries if entry.suffix in (".json", ".jsonl")]
    others.sort(key=lambda entry: _TELLING.search(entry.name) is None)
    for file in dict.fromkeys([*known, *others[:MAX_FILES]]):
        if _lies_in(file, root):
            yield file


def _checkpoints(entries: list[Path]) -> list[Path]:
    found = [(int(m[1]), entry) for entry in entries if (m := _CHECKPOINT.match(entry.name))]
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _is_ours(metrics: Path) -> bool:
    """Whether `ftadvise train` wrote it, so that it says more than the `trainer_state.json`."""
    try:
        with metrics.open("rb") as file:
            return b'"ftadvise.metrics/' in file.read(200)
    except OSError:
        return False


def _lies_in(file: Path, root: Path) -> bool:
    """Whether `file` is a regular file that no symbolic link leads out of `root` to."""
    try:
        return file.is_file() and file.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return False
