"""Reads TensorBoard event files: scalars of any type, of one file or of all files of a run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.series.keys import is_split_word
from ftadvise.readers.series.search import Found
from ftadvise.readers.series.tables import Column
from ftadvise.readers.series.values import nothing_found, runs_of_tables
from ftadvise.readers.source import Reader, Source
from ftadvise.text import clean
from ftadvise_plugins import protobuf
from ftadvise_plugins.arguments import plan
from ftadvise_plugins.metric_tables import means_something, planned_steps
from ftadvise_plugins.protobuf import FIXED64, VARINT, MalformedMessage
from ftadvise_plugins.tensorboard import records
from ftadvise_plugins.tensorboard.axes import with_epochs
from ftadvise_plugins.tensorboard.files import gather, is_session
from ftadvise_plugins.tensorboard.points import Points
from ftadvise_plugins.tensorboard.rows import Stream, by_run, table
from ftadvise_plugins.tensorboard.setup import is_setup, setup_of

if TYPE_CHECKING:
    from ftadvise.run import Run

_VERSION = b"brain.Event:"
_END = "train/train_loss"  # the mean over the run, which transformers writes when it ends
_ENDS_WITH = "train/train_runtime"


def sniff(source: Source) -> float:
    """Return 0.95 for a file that begins as event files do, 0.7 for a TFRecord of events."""
    head = source.head
    if _VERSION in head[:128]:
        return 0.95
    data = records.first(head)
    return 0.7 if data is not None and _is_event(data) else 0.0


def _is_event(data: bytes) -> bool:
    try:
        first = next(protobuf.fields(data), None)
    except MalformedMessage:
        return False
    return first is not None and (first.number, first.wire) in ((1, FIXED64), (2, VARINT))


def read(source: Source) -> list[Run]:
    """Return the runs in event files.

    Raises:
        LogError: FT404 no event file, FT405 no loss history in it, FT406 scalars, but no loss.
    """
    parts = _streams(source)
    streams = [stream for stream, _ in parts]
    setup = plan(setup_of(text for _, points in parts for text in points.asides.texts))
    made = table(streams)
    made.columns = _without_final_mean(
        made.columns, [p for _, points in parts for p in points.others]
    )
    found = Found(other=[name for _, points in parts for name in points.others])
    tables = by_run(made)
    notes = [note for one in tables for note in with_epochs(one)]
    for one in tables:
        one.columns += planned_steps(setup.steps, made)
    runs = runs_of_tables(tables, source.wanted, setup.epochs, setup.settings)
    if not runs:
        _refuse(source, parts)
        raise nothing_found(source.label, found)
    said = dict.fromkeys([*notes, *(n for _, points in parts for n in _notes(points))])
    return [replace(run, notes=(*said, *run.notes)) for run in runs]


def _streams(source: Source) -> list[tuple[Stream, Points]]:
    """Read the files of a run, folder by folder."""

    def wanted(name: str) -> bool:
        return means_something(name, source.wanted)

    folders: dict[Path, list[Path]] = {}
    for path in source.files:
        folders.setdefault(path.parent, []).append(path)
    root = Path(os.path.commonpath(list(folders)))
    found: list[tuple[Stream, Points]] = []
    for folder, files in folders.items():
        keep = _nothing if folder != root and is_session(folder.name) else wanted
        points = Points(keep, is_setup)
        try:
            batch = points.read(files)
        except OSError as error:
            raise LogError(f"{source.label}: {error.strerror}", code="FT401") from None
        below = "" if folder == root else folder.relative_to(root).as_posix()
        above = (folder.name,) if not below and _says_split(folder.name) else ()
        found.append((Stream(clean(below), above, points.names, batch), points))
    return found


def _says_split(folder: str) -> bool:
    # A folder called "test" holds a trial more often than held-out data.
    return is_split_word(folder) and folder.lower() not in ("test", "testing")


def _nothing(_: str) -> bool:
    return False


def _without_final_mean(columns: list[Column], others: list[str]) -> list[Column]:
    if not any(name.endswith(_ENDS_WITH) for name in others):
        return columns
    return [column for column in columns if not column.name.endswith(_END)]


def _refuse(source: Source, parts: list[tuple[Stream, Points]]) -> None:
    """Raise for what is no event file at all, or has nothing in it."""
    if any(points.names or points.others for _, points in parts):
        return
    if any(points.damage.records or points.damage.cut for _, points in parts):
        raise LogError(
            f"{source.label}: a damaged event file without a readable scalar",
            hint="Copy the file again, or give another log of the run.",
        )
    raise LogError(
        f"{source.label}: an event file without scalars: nothing was logged to it",
        code="FT405",
        hint="A folder holds one file per start: give the folder, or the file written last.",
    )


def _notes(points: Points) -> list[str]:
    notes: list[str] = []
    damage = points.damage
    if damage.records:
        what = "record is" if damage.records == 1 else "records are"
        notes.append(f"{damage.records} {what} damaged and left out.")
    if damage.cut:
        notes.append("An event file ends in the middle of a record; read up to there.")
    starts = [step for _, step in points.asides.starts if step > 0]
    if starts:
        notes.append(
            f"The run was resumed at step {starts[-1]}; what it repeats replaces the earlier."
        )
    for number, every in points.thinned.items():
        notes.append(f"Of {clean(points.names[number], 60)} every {every}th point was taken.")
    return notes


READER = Reader(
    name="tensorboard",
    description="TensorBoard event files: scalars, with their steps, of all files of a run",
    sniff=sniff,
    read=read,
    gather=gather,
)
