"""Finds the logs of the runs in a folder: an output folder, or one with many of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.folders.belonging import Log, is_ours, natural, sort_by_run
from ftadvise.readers.folders.ranks import DATA, OURS, STATE, rank_of
from ftadvise.readers.folders.walk import Place, lies_in, walk
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_FILES = 50  # of those without a telling name
MAX_WATCHED = 500
LOOKED_FOR = (
    "trainer_state.json, training_metrics.json, trainer_log.jsonl, metrics.csv, TensorBoard, "
    "W&B and MLflow runs, and *.json, *.jsonl, *.csv, *.log, *.txt, *.ipynb with a telling name"
)

_CHECKPOINT = re.compile(r"checkpoint-(\d{1,15})$")
_TELLING = re.compile(r"metric|history|log|loss|train|state", re.IGNORECASE)


@dataclass(frozen=True)
class Folder:
    """The logs in a folder.

    Attributes:
        logs: The logs, in the order of their names.
        unlikely: Files to try where none of the logs holds a run.
        notes: Why there may be more, one sentence each.
    """

    logs: tuple[Log, ...]
    unlikely: tuple[Log, ...] = ()
    notes: tuple[str, ...] = ()


def logs_below(folder: Path) -> Folder:
    """Return the logs in `folder` and in the folders below it.

    Raises:
        LogError: FT401 when the folder cannot be listed.
    """
    above = _above(folder)
    tree = walk(folder, lambda name, place: rank_of(name, place, above))
    found = sort_by_run(folder, above, tree)
    return Folder(_sorted(found.logs), _sorted(found.unlikely), tuple(found.notes))


def files_below(folder: Path) -> list[Path]:
    """Return the files in and below `folder` whose names say that they are logs, newest first.

    None is opened; see `logs_below` for what belongs together.

    Raises:
        LogError: FT401 when the folder cannot be listed.
    """
    above = _above(folder)
    tree = walk(folder, lambda name, place: rank_of(name, place, above))
    found = [file for file in tree.files if file.rank < DATA]
    found.sort(key=lambda file: file.written, reverse=True)
    return [file.path for file in found[:MAX_WATCHED]]


def _above(folder: Path) -> Place:
    try:
        return folder.resolve().parts[-3:]
    except (OSError, RuntimeError):
        return ()


def _sorted(logs: Iterable[Log]) -> tuple[Log, ...]:
    return tuple(sorted(logs, key=lambda log: natural(log.name)))


def logs_in(folder: Path) -> Iterator[Path]:
    """Yield the files right in `folder` that may hold the log of one run, the likeliest first.

    Raises:
        LogError: FT401 when the folder cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir())
        root = folder.resolve()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "cannot be listed"
        raise LogError(f"{clean(folder)}: {reason}", code="FT401") from None
    ours = folder / OURS
    known = [ours] if lies_in(ours, root) and is_ours(ours) else []
    known.append(folder / STATE)
    known += [entry / STATE for entry in _checkpoints(entries)]
    known.append(ours)
    others = [entry for entry in entries if entry.suffix in (".json", ".jsonl")]
    others.sort(key=lambda entry: _TELLING.search(entry.name) is None)
    for file in dict.fromkeys([*known, *others[:MAX_FILES]]):
        if lies_in(file, root):
            yield file


def _checkpoints(entries: list[Path]) -> list[Path]:
    found = [(int(m[1]), entry) for entry in entries if (m := _CHECKPOINT.match(entry.name))]
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0], reverse=True)]
