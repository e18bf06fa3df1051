"""Tells a loss of a training from lost games and lost money, which are called `losses` as well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.series.keys import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.readers.series.tables import Column, Table
    from ftadvise.readers.wanted import Wanted

_GAMES = frozenset({"win", "wins", "won", "draw", "draws", "tie", "ties"})
_MONEY = frozenset({"profit", "profits"})
_LOST = frozenset({"loss", "losses", "lost"})


def without_tallies(tables: list[Table], others: Iterable[str], wanted: Wanted) -> list[Table]:
    """Return the tables without the columns that stand beside wins, draws or profits.

    Beside games only whole numbers are counts: self-play logs its loss next to them.

    Args:
        tables: Those of one log.
        others: Names of further series of the log.
        wanted: Series that are kept whatever they are.
    """
    beside = _beside(others)
    games, money = not beside.isdisjoint(_GAMES), not beside.isdisjoint(_MONEY)
    if not games and not money:
        return tables

    def kept(column: Column) -> bool:
        if not is_bare(column.name) or wanted.names(column.name):
            return True
        value = column.value[np.isfinite(column.value)]
        return not money and bool(np.any(value != np.floor(value)))

    return [replace(table, columns=list(filter(kept, table.columns))) for table in tables]


def is_tally(name: str, others: Iterable[str]) -> bool:
    """Return whether `name` among `others` may be that of lost games or money."""
    return is_bare(name) and not _beside(others).isdisjoint(_GAMES | _MONEY)


def _beside(names: Iterable[str]) -> set[str]:
    found = (words(last_part(name)) for name in names)
    return {each[0] for each in found if len(each) == 1}


def last_part(name: str) -> str:
    """Return what a dotted name ends in."""
    return name.rpartition(".")[2]


def is_bare(name: str) -> bool:
    """Return whether `name` says no more than that something was lost."""
    found = words(last_part(name))
    return len(found) == 1 and found[0] in _LOST
