"""Reads tables that were downloaded from the charts of Weights & Biases and of TensorBoard.

W&B writes `Step` and, for every run, `run - train/loss` with its `__MIN` and `__MAX`. TensorBoard
writes `Wall time,Step,Value`, and the name of the series only into that of the file:
`run-NAME-tag-train_loss.csv`. The step of an `epoch_loss` of Keras is the epoch, counted from 0.
"""

from __future__ import annotations

import itertools
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.series.keys import LOSSES, meaning
from ftadvise.readers.series.tables import Column, Table
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.table_logs.csv_table import frame_of
from ftadvise.readers.table_logs.delimited import lines_of
from ftadvise.readers.table_logs.frame import columns_shown
from ftadvise.readers.table_logs.frame_columns import full, without_filler
from ftadvise.readers.table_logs.frame_filling import read_frame
from ftadvise.readers.table_logs.frame_tables import runs_of_frame
from ftadvise.readers.table_logs.table_opening import opening_in, opening_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ftadvise.readers.table_logs.frame import Frame
    from ftadvise.run import FloatArray, Run

TENSORBOARD_HEADER = ("Wall time", "Step", "Value")
MAX_FILES = 200
_BAND = re.compile(r"__(?:MIN|MAX)$")
_OF_RUN = " - "
_TAG = re.compile(r"(?:run-)?(.*?)-?tag-(.+)$")
_OWN_STEP = "_step"


def sniff_wandb(source: Source) -> float:
    """Return 0.95 for an export of a chart of W&B, 0.7 for one without its bands, else 0."""
    opening = opening_of(source)
    if opening is None or len(opening.names) < 2:
        return 0.0
    names = set(opening.names)
    if any(_BAND.search(name) and _BAND.sub("", name) in names for name in names):
        return 0.95
    return 0.7 if all(_OF_RUN in name for name in opening.names[1:]) else 0.0


def read_wandb(source: Source) -> list[Run]:
    """Return every run in an export of W&B.

    Raises:
        LogError: FT404 no such table, FT405 or FT406 no loss in it.
    """
    if not sniff_wandb(source) or (opening := opening_of(source)) is None:
        raise LogError(f"{source.label}: no export of a chart of W&B", code="FT404")
    frame = frame_of(source, opening)
    axis = opening.names[0]
    tables: dict[str, Table] = {}
    for name in frame.numbers:
        run, _, key = name.rpartition(_OF_RUN)
        if name == axis or key == _OWN_STEP:
            continue
        means = meaning(key)
        if means.role not in (*LOSSES, "epoch", "step", "rate") and not source.wanted.names(key):
            continue
        table = tables.setdefault(run, Table((run,) if run else (), rows=True))
        cells = without_filler(frame, key, frame.numbers[name], means)
        times = {
            role: None if of_all is None else of_all[cells.index]
            for role, of_all in _times(frame, axis, run).items()
        }
        column = Column(key, means, cells.index, cells.value, frame.size, **times)
        table.columns.append(column)
    if axis == "Step":
        frame.notes.append(
            "Step is the step of W&B, which counts calls of its log unless the training sets it."
        )
    return runs_of_frame(source, frame, list(tables.values()))


def _times(frame: Frame, axis: str, run: str) -> dict[str, FloatArray | None]:
    """Return the steps and epochs of all rows for `run`, None where the table has none."""
    role = meaning(axis).role
    own = f"{run}{_OF_RUN}{_OWN_STEP}"
    step = own if own in frame.numbers else axis if role == "step" else None
    epoch = axis if role == "epoch" else None
    return {
        "step": full(frame, step) if step in frame.numbers and step else None,
        "epoch": full(frame, epoch) if epoch in frame.numbers and epoch else None,
    }


def sniff_tensorboard(source: Source) -> float:
    """Return 0.95 for an export of one scalar of TensorBoard, else 0."""
    opening = opening_of(source)
    return 0.95 if opening is not None and opening.names == TENSORBOARD_HEADER else 0.0


def read_tensorboard(source: Source) -> list[Run]:
    """Return the runs of one exported scalar, or of several that lie in one folder.

    Raises:
        LogError: FT404 no such table, FT405 or FT406 no loss in it.
    """
    opening = opening_of(source)
    if opening is None or opening.names != TENSORBOARD_HEADER:
        raise LogError(f"{source.label}: no export of a scalar of TensorBoard", code="FT404")
    frames = [(source.name, frame_of(source, opening))]
    if len(source.files) > 1:
        frames = [pair for file in source.files[:MAX_FILES] if (pair := _frame_of(source, file))]
    tables: dict[str, Table] = {}
    for name, frame in frames:
        run, tag = _run_and_tag(name)
        means = meaning(tag, (run,))
        if (
            means.role == "other" and not source.wanted.names(tag)
        ) or "Value" not in frame.numbers:
            continue
        cells = frame.numbers["Value"]
        time = full(frame, "Step")[cells.index]
        step, epoch = (None, time + 1) if tag.startswith("epoch_") else (time, None)
        column = Column(tag, means, cells.index, cells.value, frame.size, step, epoch)
        tables.setdefault(run, Table((run,) if run else ())).columns.append(column)
    if not tables:
        shown = columns_shown([_run_and_tag(source.name)[1]]) or "the name of the file"
        raise LogError(
            f"{source.label}: one scalar of TensorBoard ({frames[0][1].size} points), and {shown} "
            "is not the name of a loss",
            code="FT406",
            hint="Give the export of a loss under a name that says so, such as train_loss.csv.",
        )
    return runs_of_frame(source, frames[0][1], list(tables.values()))


def _frame_of(source: Source, file: Path) -> tuple[str, Frame] | None:
    """Return name and table of one of several exports; None where it is none."""
    lines = lines_of(file, "utf-8-sig", source.label)
    head = list(itertools.islice(lines, 20))
    found = opening_in("".join(head), whole=True)
    if found is None or found.names != TENSORBOARD_HEADER:
        return None
    return file.name, read_frame(source, found, itertools.chain(head, lines))


def _run_and_tag(name: str) -> tuple[str, str]:
    """Return the run and the series that the name of a file tells."""
    stem = PurePath(name).stem
    found = _TAG.match(stem[:300])
    return (found[1], found[2]) if found else ("", stem)


def gather_tensorboard(path: Path) -> Sequence[Path]:
    """Return the exports of a folder whose names tell run and tag, or `path` alone."""
    if _TAG.match(path.stem[:300]) is None:
        return (path,)
    beside = sorted(file for file in path.parent.glob("*tag-*.csv") if file.is_file())
    return beside[:MAX_FILES] or (path,)


WANDB_READER = Reader(
    name="wandb_csv",
    description="tables downloaded from the charts of Weights & Biases",
    sniff=sniff_wandb,
    read=read_wandb,
)
TENSORBOARD_READER = Reader(
    name="tensorboard_csv",
    description="tables of scalars downloaded from TensorBoard",
    sniff=sniff_tensorboard,
    read=read_tensorboard,
    gather=gather_tensorboard,
)
