"""Chooses the train loss and the held-out loss among the series of a free text log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftadvise.readers.wanted import match
from ftadvise.text import clean

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable

    from ftadvise.readers.text_logs.text_series import Collected, TextSeries
    from ftadvise.readers.wanted import Wanted

_NO_RANK = (9, 9)  # of a name without a meaning, which was asked for
ENOUGH = 3  # points of an epoch-by-epoch train loss for it to be preferred to the steps


@dataclass
class Chosen:
    """The series that are read.

    Attributes:
        train: The train loss, None where there is none.
        eval: The held-out loss, None where there is none.
        rate: The learning rate beside them.
        notes: What was chosen and what was left.
    """

    train: TextSeries | None = None
    eval: TextSeries | None = None
    rate: TextSeries | None = None
    notes: list[str] = field(default_factory=list[str])

    def __len__(self) -> int:
        return sum(len(series) for series in (self.train, self.eval) if series is not None)


def choose(found: Collected, wanted: Wanted) -> Chosen:
    """Return the train and eval loss among all series.

    A train loss that stands beside the evaluations is preferred, so that step losses and averages
    over epochs are never mixed; of others the one with the plainest name and most points.
    """
    trains, evals, rates = (
        [series for series in found.series.values() if _may_be(series, role, wanted)]
        for role in ("train", "eval", "rate")
    )
    chosen = Chosen()
    held_out = {series.lines[place] for series in evals for place in range(len(series))}
    chosen.train = min(
        trains, key=lambda series: _train_order(series, wanted.key, evals, held_out), default=None
    )
    chosen.eval = min(
        evals, key=lambda series: _eval_order(series, wanted.eval_key, chosen.train), default=None
    )
    if chosen.train is not None or chosen.eval is not None:
        lead = chosen.train or chosen.eval
        beside = [s for s in rates if lead is not None and _shared(s.lines, lead.lines)]
        chosen.rate = max(beside, key=len, default=None)
    _say_what_was_left(chosen.train, trains, "train", chosen.notes)
    _say_what_was_left(chosen.eval, evals, "eval", chosen.notes)
    return chosen


def _may_be(series: TextSeries, role: str, wanted: Wanted) -> bool:
    """Return whether a series may be taken as `role`, by its meaning or by its name."""
    other = wanted.eval_key if role == "train" else wanted.key
    if _is_called(series, wanted.of(role)) and role != "rate":
        return True
    return series.means.role == role and not _is_called(series, other)


def _train_order(
    series: TextSeries, wanted: str | None, evals: list[TextSeries], held_out: set[int]
) -> tuple[object, ...]:
    rank = series.means.rank or _NO_RANK
    size = len(series)
    beside = sum(line in held_out for line in series.lines)
    step_by_step = bool(set(series.counts) - {"epoch"})
    as_many = not step_by_step and any(abs(size - len(other)) <= 1 for other in evals)
    paired = size >= ENOUGH and (2 * beside >= size or as_many)
    explicit = series.means.split == "train" and size >= ENOUGH and not step_by_step
    return (
        not _is_called(series, wanted), rank[0] >= 5, not paired, rank[0], not explicit, -size
    )  # fmt: skip


def _eval_order(
    series: TextSeries, wanted: str | None, train: TextSeries | None
) -> tuple[object, ...]:
    kind, preference = (series.means.rank or _NO_RANK)[:2]
    beside = train is not None and 2 * _shared(series.lines, train.lines) >= len(series)
    return (
        not _is_called(series, wanted), kind >= 5, preference >= 5, kind, preference,
        not beside, "batch" in series.counts, -len(series),
    )  # fmt: skip


def _is_called(series: TextSeries, wanted: str | None) -> bool:
    return bool(wanted) and match(series.name, wanted or "") > 0


def _shared(lines: array[int], others: array[int]) -> int:
    return len(set(lines) & set(others))


def _say_what_was_left(
    taken: TextSeries | None, all_of_them: Iterable[TextSeries], what: str, notes: list[str]
) -> None:
    if taken is None:
        return
    left = [
        series for series in all_of_them
        if series is not taken and len(series) > 1
        and (series.means.rank or _NO_RANK)[0] <= max(3, (taken.means.rank or _NO_RANK)[0])
    ]  # fmt: skip
    if left:
        names = "; ".join(_said(series) for series in sorted(left, key=len, reverse=True)[:4])
        notes.append(f"Took {_said(taken)} as the {what} loss; the log also has {names}.")


def _said(series: TextSeries) -> str:
    per = f" by {clean(series.counts[-1], 40)}" if series.counts else ""
    return f"{clean(series.name, 60)}{per} ({len(series)} points)"
