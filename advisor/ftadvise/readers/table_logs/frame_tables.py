"""From the frame of a table to the tables of its runs.

A column may name the run of each row (`fold`, `seed`), whether the row is about train or eval data
(`phase`), or the series whose value stands in it (`metric, step, value`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.series.keys import LOSSES, is_split_word, meaning, split_of
from ftadvise.readers.series.rows import OWNER_KEYS, RUN_KEYS, SPLIT_KEYS
from ftadvise.readers.series.search import Found
from ftadvise.readers.series.tables import Column, Table
from ftadvise.readers.series.tallies import is_tally
from ftadvise.readers.series.values import nothing_found, runs_of_tables
from ftadvise.readers.table_logs.frame import (
    SERIES_NAMES,
    SETTING_NAMES,
    VALUE_NAMES,
    Frame,
    columns_shown,
)
from ftadvise.readers.table_logs.frame_columns import (
    codes,
    column_of,
    full,
    row_numbers,
    split,
)
from ftadvise.readers.wanted import ANY, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.readers.series.tables import IntArray
    from ftadvise.readers.source import Source
    from ftadvise.run import FloatArray, Run, Settings

_MAX_SERIES = 200
_HELPS = "Give the log of the run itself, with columns such as epoch, train_loss, val_loss."


def runs_of_frame(
    source: Source, frame: Frame, tables: list[Table], settings: Settings | None = None
) -> list[Run]:
    """Return the runs in `tables`, which were made of `frame`.

    Args:
        source: The log.
        frame: The table.
        tables: One for each of its runs.
        settings: What is known of the set-up.

    Raises:
        LogError: FT405 or FT406, which says what kind of table it is.
    """
    for table in tables:
        table.columns = [column for column in table.columns if column.value.size]
    planned = settings.num_train_epochs if settings else None
    runs = runs_of_tables(tables, source.wanted, planned, settings, frame.names)
    if not runs:
        raise no_loss_in(source.label, frame, tables)
    notes = [*frame.notes, *_empty_losses(frame, runs)]
    return [replace(run, notes=(*notes, *run.notes)) for run in runs]


def _empty_losses(frame: Frame, runs: list[Run]) -> list[str]:
    """Return a note where the table has a column for an eval loss, and nothing in it."""
    if any(len(run.eval) for run in runs):
        return []
    empty = [n for n in frame.names if meaning(n).role == "eval" and n not in frame.numbers]
    return [f"There is no number in the column {columns_shown(empty)}."] if empty else []


def no_loss_in(label: str, frame: Frame, tables: list[Table]) -> LogError:
    """Return the error that says what a table without a loss history is."""
    what = f"a table of {counted(len(frame.names), 'column')} and {counted(frame.size, 'row')}"
    if not frame.size:
        message = f"{label}: the header of a table ({columns_shown(frame.names)}), and no rows"
        return LogError(message, code="FT405", hint="Nothing was logged before the run ended.")
    losses = [c for table in tables for c in table.columns if c.meaning.role in LOSSES]
    if losses and any(table.summary for table in tables):
        return nothing_found(label, Found(tables))
    meant = [name for name in frame.names if meaning(name).role in LOSSES]
    meant = [name for name in meant if not is_tally(name, frame.names)]
    if meant:
        message = f"{label}: {what}, with no number in {columns_shown(meant)}"
        return LogError(message, code="FT405", hint=_HELPS)
    message = f"{label}: {what}, none of them a loss: {columns_shown(frame.names)}"
    return LogError(message, code="FT406", hint=_HELPS)


def counted(number: int, thing: str) -> str:
    """Return "1 row" or "2 rows"."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def tables_of_frame(frame: Frame, wanted: Wanted = ANY) -> list[Table]:
    """Return one table per run in `frame`."""
    tables: list[Table] = []
    for name, part in _by_run(frame):
        table = _long(part, (name,) if name else ())
        if table is None:
            table = Table((name,) if name else (), list(_columns(part, wanted)), rows=True)
            table.summary = _summary(part, table)
        tables.append(table)
        if part is not frame:
            frame.notes.extend(note for note in part.notes if note not in frame.notes)
    return tables


def _by_run(frame: Frame) -> list[tuple[str, Frame]]:
    """Return the rows of each run, by its name."""
    key = next((name for name in frame.labels if name.lower() in RUN_KEYS), None)
    if key is None:
        return [("", frame)]
    texts, part = codes(frame.labels[key])
    # One row per label is a summary, not a history; one label is one run.
    if len(texts) < 2 or 2 * len(texts) > frame.size:
        return [("", frame)]
    names = [f"{key} {text}" if text.isdigit() else text for text in texts]
    return list(zip(names, split(frame, part, len(texts)), strict=True))


def _columns(frame: Frame, wanted: Wanted) -> Iterable[Column]:
    splits = _splits(frame)
    counted = False
    for name in frame.numbers:
        means = meaning(name)
        if means.role in ("step", "epoch"):
            counted = True
        if means.role == "other" and not wanted.names(name):
            continue
        if means.role in LOSSES and not means.split and splits:
            yield from _columns_by_split(frame, name, splits)
            continue
        yield column_of(frame, name)
    if not counted and (epoch := row_numbers(frame)) is not None:
        yield epoch


def _splits(frame: Frame) -> dict[str, IntArray]:
    """Return the rows that are about each kind of data, where a column says so."""
    for name, texts in frame.labels.items():
        if name.lower() not in SPLIT_KEYS:
            continue
        words = {text for text in set(texts) if is_split_word(text)}
        if words:
            names, part = codes(texts)
            return {word: np.flatnonzero(part == names.index(word)) for word in sorted(words)}
    return {}


def _columns_by_split(frame: Frame, name: str, splits: dict[str, IntArray]) -> Iterable[Column]:
    cells = frame.numbers[name]
    for word, rows in splits.items():
        mine = np.isin(cells.index, rows)
        if mine.any():
            means = meaning(name, (word,))
            index, value = cells.index[mine], cells.value[mine]
            yield Column(f"{word}.{name}", means, index, value, frame.size)


def _long(frame: Frame, path: tuple[str, ...]) -> Table | None:
    """Return the table of a list of `metric, step, value`; None where it is no such list."""
    key = next((name for name in frame.labels if name.lower() in SERIES_NAMES + OWNER_KEYS), None)
    number = next((name for name in frame.numbers if name.lower() in VALUE_NAMES), None)
    if key is None or number is None:
        return None
    cells, (names, part) = frame.numbers[number], codes(frame.labels[key])
    if len(names) > _MAX_SERIES or not any(meaning(name).role in LOSSES for name in names):
        return None
    axes: dict[str, FloatArray | None] = {"step": None, "epoch": None}
    for name in frame.numbers:
        role = meaning(name).role
        if role in axes and axes[role] is None:
            axes[role] = full(frame, name)
    here = part[cells.index]
    table = Table(path, rows=True)
    for place, name in enumerate(names):
        mine = here == place
        means = meaning(name)
        if means.role == "other" or not mine.any():
            continue
        index = cells.index[mine]
        own = [None if axis is None else axis[index] for axis in axes.values()]
        table.columns.append(Column(name, means, index, cells.value[mine], frame.size, *own))
    return table


def _summary(frame: Frame, table: Table) -> str:
    """Return what each row sums up when the rows are no moments of one run, else ""."""
    axes = [c for c in table.columns if c.meaning.role in ("step", "epoch")]
    if any(np.unique(c.value).size > 1 for c in axes):
        return ""
    if frame.size == 1:
        return "" if axes else "run"
    settings = [texts for name, texts in frame.labels.items() if name.lower() in SETTING_NAMES]
    if not axes and any(len(set(texts)) > 1 for texts in settings):
        return "setting"
    for name, texts in frame.labels.items():
        if name.lower() in RUN_KEYS + OWNER_KEYS and len(set(texts)) == frame.size:
            return name
    # The same planned number of epochs on every row, and nothing that counts: ends of runs.
    return "run" if any(split_of(c.name) == "" and c.value[0] > 1 for c in axes) else ""
