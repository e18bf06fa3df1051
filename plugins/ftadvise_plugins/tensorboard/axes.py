"""What the steps of a series count: optimizer steps, or epochs.

An event has a step and nothing else, so people give it the number of the epoch where they evaluate
once per epoch. Names, steps and the order of writing tell which.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.series.keys import LOSSES, words
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.readers.series.tables import Column, Table
    from ftadvise.run import FloatArray

_TIMED = (*LOSSES, "rate")
_KERAS = "epoch_"
_NEARLY = 0.15  # of an epoch: how far an evaluation may lie from its place
_AT_LEAST = 3  # points, before a pattern is believed


def with_epochs(table: Table) -> list[str]:
    """Give the columns that count epochs their epochs; return what was assumed.

    Args:
        table: Changed in place; its first column is the step of every row.
    """
    step = table.columns[0].value
    losses = [c for c in table.columns if c.meaning.role in LOSSES]
    named = [c for c in losses if _named_by_epoch(c, step)]
    if named:
        first = min(step[c.index].min() for c in named if c.meaning.role == _first_role(named))
        _count(table, [c for c in table.columns if c in named or _keras_rate(c)], step, first == 0)
        return _said(named, first == 0)
    epochs = [c for c in table.columns if c.meaning.role == "epoch"]
    if epochs:
        return _in_progress(table, max(epochs, key=lambda c: c.index.size), step)
    if _one_of_each(losses, step):
        first = min(step[c.index[0]] for c in losses if c.meaning.role == "train")
        last = max(step[c.index].max() for c in losses)
        same = [
            c for c in table.columns if c.meaning.role in _TIMED and step[c.index].max() <= last
        ]
        _count(table, same, step, first == 0)
        return [
            "Every step has a train and an eval loss: the steps are taken for epochs.",
            *(_ZERO if first == 0 else ()),
        ]
    return _evaluations_by_epoch(table, losses, step)


_ZERO = ("Epochs are numbered from 0 in the log; epoch 0 is reported as epoch 1.",)


def _said(named: list[Column], zero: bool) -> list[str]:
    names = ", ".join(clean(c.name, 60) for c in named[:4])
    return [
        f"The steps of {names} are taken for epochs, as the names say.",
        *(_ZERO if zero else ()),
    ]


def _first_role(columns: list[Column]) -> str:
    return "train" if any(c.meaning.role == "train" for c in columns) else "eval"


def _keras_rate(column: Column) -> bool:
    return column.meaning.role == "rate" and _last(column.name).startswith(_KERAS)


def _last(name: str) -> str:
    return name.rpartition(".")[2].rpartition("/")[2]


def _by_ones(step: FloatArray) -> bool:
    """Whether steps rise by one, but for restarts."""
    ahead = np.diff(step)
    return bool((ahead[ahead > 0] == 1).all()) and step[0] == np.floor(step[0])


def _named_by_epoch(column: Column, step: FloatArray) -> bool:
    mine = step[column.index]
    if not _by_ones(mine):
        return False
    if _last(column.name).startswith(_KERAS):  # a resumed run goes on from its epoch
        return True
    return "epoch" in words(column.name) and mine.min() in (0, 1)


def _one_of_each(losses: list[Column], step: FloatArray) -> bool:
    """Whether train and eval loss come together at steps that rise by one from 0 or 1."""
    sizes: dict[str, int] = {}
    for column in losses:
        mine = step[column.index]
        if column.index.size < _AT_LEAST or mine.min() not in (0, 1) or not _by_ones(mine):
            return False
        role = column.meaning.role
        sizes[role] = max(sizes.get(role, 0), column.index.size)
    return len(sizes) == len(LOSSES) and abs(sizes["train"] - sizes["eval"]) <= 1


def _count(table: Table, columns: list[Column], step: FloatArray, zero: bool) -> None:
    """Make the steps of `columns` their epochs, counted from 1."""
    for place, column in enumerate(table.columns):
        if any(column is one for one in columns):
            unknown = np.full(column.index.size, np.nan)
            epoch = step[column.index] + (1.0 if zero else 0.0)
            table.columns[place] = replace(column, step=unknown, epoch=epoch)


def _in_progress(table: Table, epoch: Column, step: FloatArray) -> list[str]:
    """Turn the number of the epoch in progress, as Lightning logs it, into epochs that are done.

    A row at step s in epoch k, both counted from 0, says that an epoch has at least
    (s + 1) / (k + 1) steps and at most s / k. An evaluation at its end gives the first exactly.
    """
    number, at = epoch.value, step[epoch.index]
    if not np.isfinite(number).all() or (number != np.floor(number)).any() or (number < 0).any():
        return []
    if number[0] != 0 or number.max() < 1 or (np.diff(at) < 0).any() or (at < number).any():
        return []
    per_number = at[number > 0] / number[number > 0]
    least, most = float(((at + 1) / (number + 1)).max()), float(per_number.min())
    if (per_number == most).all():  # each stands at its end: these are done
        return []
    if not least <= most * (1 + 1e-9) or most > 2 * least:
        return []
    evaluated = any(c.meaning.role == "eval" for c in table.columns)
    per_epoch = least if evaluated else (least + most) / 2
    for place, column in enumerate(table.columns):
        if column.meaning.role in _TIMED:
            done = (step[column.index] + 1) / per_epoch
            table.columns[place] = replace(column, epoch=done)
    table.columns = [c for c in table.columns if c.meaning.role != "epoch"]
    how = f"fractions come from the steps, {per_epoch:.6g} of them in an epoch."
    return [f"The log numbers the epoch in progress; {how}"]


def _evaluations_by_epoch(table: Table, losses: list[Column], step: FloatArray) -> list[str]:
    """Place eval losses whose steps are epochs among train losses whose steps are not."""
    train = max(
        (c for c in losses if c.meaning.role == "train"), key=lambda c: c.index.size, default=None
    )
    if train is None or (np.diff(step[train.index]) < 0).any():
        return []
    notes: list[str] = []
    for place, column in enumerate(table.columns):
        if column.meaning.role != "eval":
            continue
        found = _among(column, train, step)
        if found is not None:
            table.columns[place] = replace(column, step=found[0], epoch=found[1])
            notes.append(
                f"The steps of {clean(column.name, 60)} are taken for epochs: it was written after "
                f"every {found[0][-1] / found[1][-1]:.6g} steps of {clean(train.name, 60)}."
            )
    return notes


def _among(
    column: Column, train: Column, step: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Return steps and epochs of evaluations by where they were written, None if they have steps."""
    mine = step[column.index]
    if mine.size < _AT_LEAST or mine[0] not in (0, 1) or not (np.diff(mine) == 1).all():
        return None
    before = np.searchsorted(train.index, column.index) - 1
    if before[0] < 0:
        return None
    epoch = mine + (1.0 - mine[0])
    reached = step[train.index[before]]
    per_epoch = reached[-1] / epoch[-1]
    interval = float(np.median(np.diff(step[train.index]))) if train.index.size > 1 else 0.0
    allowed = max(_NEARLY * per_epoch, 2 * interval)
    if per_epoch < 2 or interval > per_epoch or (abs(reached - epoch * per_epoch) > allowed).any():
        return None
    return reached, epoch
