"""Chooses the train loss, the eval loss and their axes among the columns of a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ftadvise.readers.series import clock
from ftadvise.readers.series.draft import Curve, Draft
from ftadvise.readers.series.keys import EVAL_WORDS, LOSSES, is_split_word, split_of
from ftadvise.readers.series.tables import Column, Table, finite
from ftadvise.readers.wanted import (
    ANY,
    NoSuchSeries,
    Wanted,
    listed,
    match,
    none_left,
    none_of,
    several_of,
)
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.run import FloatArray

Losses = dict[str, Column | None]

TEST = EVAL_WORDS["test"]  # preference from which data are those of a test


def drafts(tables: list[Table], wanted: Wanted = ANY, others: Iterable[str] = ()) -> list[Draft]:
    """Return what the tables say about runs; those without a loss are left out.

    Args:
        tables: One per run, or one for the train and one for the eval loss of a run.
        wanted: The series that were asked for by name.
        others: Names of further series that the log has, to say so when one is asked for.

    Raises:
        NoSuchSeries: FT409, no series has the name that was asked for, or several have.
    """
    decided = _by_name(tables, wanted, others)
    found = (_draft(table, own) for table, own in zip(tables, decided, strict=True))
    drafts = [made for made in found if made is not None]
    if not drafts and "" in (wanted.key, wanted.eval_key) and any(map(_has_loss, tables)):
        raise none_left()
    return drafts


def _has_loss(table: Table) -> bool:
    return not table.summary and any(c.meaning.role in LOSSES for c in table.columns)


def _draft(table: Table, decided: Losses) -> Draft | None:
    chosen = _losses(table, decided)
    if not chosen or table.summary:
        return None
    made = Draft(table.path)
    lead = chosen.get("train") or chosen["eval"]
    rate = _best([c for c in table.columns if c.meaning.role == "rate"], lead.size)
    if rate is not None:
        chosen["rate"] = rate
    made.same_places = table.rows or len({column.size for column in chosen.values()}) == 1
    axes = _Axes(table, lead)
    made.notes.extend(axes.notes)
    for role, column in chosen.items():
        rivals = () if role in decided else _rivals(table, role, column)
        made.curves[role] = replace(axes.curve(column), key=_key(table, column), rivals=rivals)
    made.total_steps = _constant(table)
    for column in table.columns:
        if column.meaning.role == "gradient":
            made.gradients[column.name] = int((~np.isfinite(column.value)).sum())
    return made


def _by_name(tables: list[Table], wanted: Wanted, others: Iterable[str]) -> list[Losses]:
    """Return for each table the columns that were asked for, None where it has them not."""
    decided: list[Losses] = [{} for _ in tables]
    known = [name for table in tables for c in table.columns for name in _names(table, c)[:1]]
    for role in LOSSES:
        name = wanted.of(role)
        if name is None:
            continue
        found = [_called(table, name) if name else [] for table in tables]
        if name and not any(found):
            raise none_of(name, [*known, *others])
        # Of `train.loss` and `val.loss` the name `loss` means, for a train loss, the first.
        right = any(c.meaning.role == role for columns in found for c in columns)
        for own, columns in zip(decided, found, strict=True):
            own[role] = _only([c for c in columns if c.meaning.role == role or not right], name)
    for own in decided:
        if own.get("train") is not None and own.get("train") is own.get("eval"):
            raise NoSuchSeries(
                f"{clean(wanted.key, 80)!r} cannot be the train and the eval loss at once",
                hint=f"The log has {listed([*known, *others])}.",
            )
    return decided


def _called(table: Table, name: str) -> list[Column]:
    """Return the columns that `name` means: those that it names best."""
    if table.summary:
        return []
    marks = [(max(match(own, name) for own in _names(table, c)), c) for c in table.columns]
    best = max((mark for mark, _ in marks), default=0)
    return [column for mark, column in marks if mark == best and mark]


def _names(table: Table, column: Column) -> tuple[str, str]:
    """Return the name of a column, and the same with the containers that it lies in."""
    return column.name, ".".join([*table.path, column.name])


def _only(columns: list[Column], name: str) -> Column | None:
    if len({column.name for column in columns}) > 1:
        raise several_of(name, [column.name for column in columns])
    return max(columns, key=lambda column: column.value.size, default=None)


def _losses(table: Table, decided: Losses) -> dict[str, Column]:
    taken = list(decided.values())
    left = [c for c in table.columns if not any(c is one for one in taken)]
    trains = [c for c in left if c.meaning.role == "train"]
    train = decided["train"] if "train" in decided else _best(trains)
    evals = [c for c in left if c.meaning.role == "eval"]
    if train is not None and any(c.meaning.rest == train.meaning.rest for c in evals):
        # `rnn_loss` goes with `val_rnn_loss`, unless there is a `val_loss`.
        evals = [c for c in evals if c.meaning.rest in ((), train.meaning.rest)]
    held_out = decided["eval"] if "eval" in decided else _best(evals)
    both = {"train": train, "eval": held_out}
    return {role: column for role, column in both.items() if column is not None}


def _best(columns: list[Column], size: int | None = None) -> Column | None:
    """Return the column with the best name; among equals the one with most values."""

    def order(column: Column) -> tuple[object, ...]:
        kind, *rest = column.meaning.rank
        return (size not in (None, column.size), kind, -column.value.size, *rest)

    if size is None and any(c.meaning.role == "eval" for c in columns):
        # For held-out data the kind of data comes before the number of points.
        return min(columns, key=lambda c: (*_eval_rank(c), -c.value.size))
    return min(columns, key=order, default=None)


def _eval_rank(column: Column) -> tuple[int, ...]:
    kind, preference = column.meaning.rank
    return (kind >= 5, preference >= TEST, kind, preference)


def _constant(table: Table) -> float | None:
    for column in table.columns:
        if column.meaning.role == "total_steps" and np.isfinite(column.value[-1]):
            return float(column.value[-1])
    return None


def _rivals(table: Table, role: str, column: Column) -> tuple[str, ...]:
    """Return the names of the series that are as likely the one that is meant as `column`."""
    if role == "rate":
        return ()
    rank = column.meaning.rank
    return tuple(
        c.name for c in table.columns
        if c.meaning.role == role and c is not column and c.value.size > 1
        and c.meaning.rank[0] <= rank[0] and (c.meaning.rank[1] < TEST or rank[1] >= TEST)
    )  # fmt: skip


def _key(table: Table, column: Column) -> str:
    """Return the name of a series; `test.loss` where only its container says that it is of tests."""
    meaning = column.meaning
    if meaning.role != "eval" or meaning.rank[1] < TEST or split_of(column.name):
        return column.name
    return ".".join([next(p for p in reversed(table.path) if split_of(p)), column.name])


class _Axes:
    """Finds the steps and epochs that belong to a column."""

    def __init__(self, table: Table, lead: Column) -> None:
        self.table = table
        self.notes: list[str] = []
        self.shared: dict[str, FloatArray] = {}
        if table.rows:
            step = self._find("step", lead)
            epoch = self._find("epoch", lead)
            self.shared = clock.rows(step, epoch, lead.index, lead.size, self.notes)

    def curve(self, column: Column) -> Curve:
        order = column.index.astype(np.float64)
        if not self.table.rows:
            order = (order + 1) / max(column.size, 1)
        step, epoch = (self._axis(column, axis) for axis in ("step", "epoch"))
        rest = column.meaning.rest
        return Curve(column.name, order, step, epoch, column.value, column.size, rest)

    def _axis(self, column: Column, axis: Literal["step", "epoch"]) -> FloatArray:
        own = column.step if axis == "step" else column.epoch
        if own is not None:
            return finite(own)
        found = self.shared.get(axis) if self.table.rows else self._find(axis, column)
        return np.full(column.value.size, np.nan) if found is None else found[column.index]

    def _find(self, axis: str, column: Column) -> FloatArray | None:
        """Return the best axis for `column` as a full array; its own comes first."""
        split = column.meaning.split
        fits: list[tuple[tuple[object, ...], FloatArray]] = []
        for other in self.table.columns:
            if other.meaning.role != axis or other.size != column.size:
                continue
            if not self._may_time(other, split):
                continue
            full = finite(other.full())
            here = full[column.index]
            known = np.isfinite(here)
            moves = known.any() and (here.size == 1 or np.unique(here[known]).size > 1)
            if not moves or 2 * known.sum() < here.size:
                continue
            mine = other.meaning.split == split and split != ""
            fits.append(((not mine, *other.meaning.rank), full))
        return min(fits, key=lambda fit: fit[0])[1] if fits else None

    def _may_time(self, other: Column, split: str) -> bool:
        """Whether `other` counts for `split`: as its own, as nobody's or as the only one."""
        if self.table.rows or other.meaning.split in ("", split):
            return True
        same = [c for c in self.table.columns if c.meaning.role == other.meaning.role]
        return len(same) == 1 and not is_split_word(other.name.partition(".")[0])
