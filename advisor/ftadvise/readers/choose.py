"""Chooses the train loss, the eval loss and their axes among the columns of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ftadvise.readers import clock
from ftadvise.readers.draft import Curve, Draft
from ftadvise.readers.keys import is_split_word
from ftadvise.readers.tables import finite
from ftadvise.readers.wanted import ANY, Wanted
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.readers.tables import Column, Table
    from ftadvise.run import FloatArray


def draft(table: Table, wanted: Wanted = ANY) -> Draft | None:
    """Return what `table` says about a run, or None when it holds no loss."""
    chosen = _losses(table, wanted)
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
        made.curves[role] = axes.curve(column)
    made.total_steps = _constant(table)
    for column in table.columns:
        if column.meaning.role == "gradient":
            made.gradients[column.name] = int((~np.isfinite(column.value)).sum())
    _say_what_was_left(table, chosen, made)
    return made


def _losses(table: Table, wanted: Wanted) -> dict[str, Column]:
    chosen: dict[str, Column] = {}
    train = _best([c for c in table.columns if c.meaning.role == "train"])
    if train is not None:
        chosen["train"] = train
    evals = [c for c in table.columns if c.meaning.role == "eval"]
    if train is not None and any(c.meaning.rest == train.meaning.rest for c in evals):
        # `rnn_loss` goes with `val_rnn_loss`, unless there is a `val_loss`.
        evals = [c for c in evals if c.meaning.rest in ((), train.meaning.rest)]
    held_out = _best(evals)
    if held_out is not None:
        chosen["eval"] = held_out
    return chosen


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
    return (kind >= 5, preference >= 5, kind, preference)


def _constant(table: Table) -> float | None:
    for column in table.columns:
        if column.meaning.role == "total_steps" and np.isfinite(column.value[-1]):
            return float(column.value[-1])
    return None


def _say_what_was_left(table: Table, chosen: dict[str, Column], made: Draft) -> None:
    for role, column in chosen.items():
        if role == "rate":
            continue
        rivals = [
            c.name for c in table.columns
            if c.meaning.role == role and c is not column and c.value.size > 1
            and c.meaning.rank[0] <= column.meaning.rank[0]
        ]  # fmt: skip
        if rivals:
            names = ", ".join(clean(name, 60) for name in rivals[:5])
            made.notes.append(
                f"Took {clean(column.name, 60)} as the {role} loss; the log also has {names}."
            )


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
