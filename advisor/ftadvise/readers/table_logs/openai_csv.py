"""Reads the result file of a fine-tuning job of OpenAI or Azure OpenAI.

It is a table with one row per step, also as the API gives it: in base64. `valid_loss` is that of
one small batch, `full_valid_loss` that of all validation data at the end of an epoch, which is
taken where there are enough of them. Jobs of before 2023 have other names, and -1 for "none".
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.source import HEAD_BYTES, Reader, Source
from ftadvise.readers.table_logs.csv_table import frame_of
from ftadvise.readers.table_logs.frame import Cells, columns_shown
from ftadvise.readers.table_logs.frame_columns import full
from ftadvise.readers.table_logs.frame_filling import read_frame
from ftadvise.readers.table_logs.frame_tables import runs_of_frame, tables_of_frame
from ftadvise.readers.table_logs.table_opening import Opening, opening_in, opening_of

if TYPE_CHECKING:
    from ftadvise.readers.series.tables import Table
    from ftadvise.readers.table_logs.frame import Frame
    from ftadvise.run import FloatArray, Run

MAX_ENCODED = 64 * 1024 * 1024
FULL = "full_valid_loss"
_ENOUGH = 3  # losses on all validation data, to be taken rather than those of single batches
_MARKS = frozenset(
    {
        "train_accuracy", "train_mean_token_accuracy", "valid_mean_token_accuracy", FULL,
        "full_valid_mean_token_accuracy", "elapsed_tokens", "elapsed_examples",
        "training_token_accuracy", "training_sequence_accuracy", "validation_token_accuracy",
    }
)  # fmt: skip
_BASE64 = re.compile(rb"\s*(?:b?['\"])?(c3RlcC[A-Za-z0-9+/=\r\n]*)")  # "step" in base64


def sniff(source: Source) -> float:
    """Return 0.95 for a table with the columns of a result file, as text or in base64."""
    opening = _opening(source)
    if opening is None or not opening.holds("step"):
        return 0.0
    losses = {"train_loss", "training_loss"} & set(opening.names)
    return 0.95 if losses and _MARKS & set(opening.names) else 0.0


def read(source: Source) -> list[Run]:
    """Return the run of a job.

    Raises:
        LogError: FT404 no such table, FT405 or FT406 no loss in it, FT407 too large.
    """
    opening = _opening(source)
    if opening is None or not opening.holds("step"):
        raise LogError(f"{source.label}: no result file of OpenAI", code="FT404")
    decoded = _decoded(source)
    if decoded:
        frame = read_frame(source, opening, decoded.splitlines(keepends=True))
    else:
        frame = frame_of(source, opening)
    _drop_minus_one(frame)
    epoch = _epochs(frame)
    tables = [_timed(table, frame, epoch) for table in tables_of_frame(frame, source.wanted)]
    return runs_of_frame(source, frame, tables)


def _opening(source: Source) -> Opening | None:
    if _BASE64.match(source.head[:64]) is None:
        return opening_of(source)
    head = _decode(source.head)
    return opening_in(head, whole=source.size < HEAD_BYTES)


def _decoded(source: Source) -> str:
    """Return the text in a file of base64, or "" where it is none."""
    if _BASE64.match(source.head[:64]) is None:
        return ""
    if source.size > MAX_ENCODED:
        message = f"{source.label}: base64 of more than {MAX_ENCODED // 2**20} MiB"
        raise LogError(message, code="FT407")
    return _decode(source.path.read_bytes())


def _decode(raw: bytes) -> str:
    found = _BASE64.match(raw)
    letters = re.sub(rb"[\r\n=]+", b"", found[1]) if found else b""
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    try:
        return base64.b64decode(letters + b"=" * (-len(letters) % 4)).decode(errors="replace")
    except binascii.Error:
        return ""


def _drop_minus_one(frame: Frame) -> None:
    """Leave out -1, which older result files have where nothing was measured."""
    for name, cells in list(frame.numbers.items()):
        none = cells.value == -1
        if name.endswith("loss") and none.any():
            del frame.numbers[name]
            if not none.all():
                frame.numbers[name] = Cells(cells.index[~none], cells.value[~none])
            frame.notes.append(
                f"-1 in {columns_shown([name])} stands for none: {int(none.sum())} left out."
            )


def _epochs(frame: Frame) -> FloatArray | None:
    """Return the epochs of all rows where the losses on all validation data tell them."""
    if FULL not in frame.numbers:
        return None
    step = full(frame, "step")
    ends = step[frame.numbers[FULL].index]
    number = np.arange(1, ends.size + 1)
    if not ends.size or not np.isfinite(ends).all() or ends[0] <= 0:
        return None
    per_epoch = float(ends[-1]) / ends.size
    if (np.abs(ends - number * per_epoch) > 0.02 * per_epoch + 1).any():
        return None
    frame.notes.append(
        f"{FULL} is taken as measured at the end of every epoch, {per_epoch:g} steps."
    )
    epoch: FloatArray = step / per_epoch
    return epoch


def _timed(table: Table, frame: Frame, epoch: FloatArray | None) -> Table:
    """Return `table` with the epochs of its rows, and the eval loss to take in front."""
    for place, column in enumerate(table.columns):
        if column.name == FULL and column.value.size >= _ENOUGH:
            means = replace(column.meaning, rank=(0, -1), rest=())
            column = replace(column, meaning=means)
        if epoch is not None and column.meaning.role in ("train", "eval", "rate"):
            column = replace(column, epoch=epoch[column.index])
        table.columns[place] = column
    return table


READER = Reader(
    name="openai_csv",
    description="result files of OpenAI fine-tuning jobs, in base64 too",
    sniff=sniff,
    read=read,
)
