"""Which past runs say most about one: the same fine-tune first, each with the reason.

Model and data decide where they are known. Where they are not, the curves may say that two logs
are one fine-tune (`ftadvise.together`); against known facts they never do.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass

from ftadvise.history.entries import Entry
from ftadvise.history.facts import Facts
from ftadvise.history.file import PATIENCE
from ftadvise.history.likeness import BY_CURVES, Likeness, by_curves, likeness
from ftadvise.history.points import content_of
from ftadvise.history.store import PathLike, entries_of, loaded, table
from ftadvise.run import Run
from ftadvise.together import SAME_STEPS, same_fine_tune

USUAL = 12
"""Past runs that are worth their time: the same fine-tune, and a few for the noise."""

_CURVES_ASKED = 100  # runs whose curves are read to see whether they are the same fine-tune


@dataclass(frozen=True, eq=False)
class Comparable:
    """A past run that is like the one in hand.

    Attributes:
        entry: Its row.
        run: The run itself, for `past=` of `ftadvise.fit` and `ftadvise.advise`.
        same: Whether it is the same fine-tune, perhaps of another length or rate.
        why: What the two share, as a phrase.
    """

    entry: Entry
    run: Run
    same: bool
    why: str


def comparable(
    like: Run | Facts,
    limit: int = USUAL,
    *,
    facts: Facts | None = None,
    path: PathLike | None = None,
    patience: float = PATIENCE,
) -> tuple[Comparable, ...]:
    """Return past runs, the likest first; the run itself is not among them.

    Args:
        like: The run in hand, or what is known of one that has not begun.
        limit: How many at most.
        facts: What is known of the run besides its curves; with what the history knows of it.
        path: The history; the default one when None.
        patience: Seconds to wait while others write.

    Raises:
        HistoryError: FT421 to FT425, FT428.
    """
    run = like if isinstance(like, Run) else None
    given = like if isinstance(like, Facts) else facts or Facts()
    with table(path, patience) as (db, names):
        if db is None:
            return ()
        known = entries_of(db, names)
        if run is not None:
            content = content_of(run)
            for own in [entry for entry in known if entry.content == content]:
                given = given.over(own.facts)
                known.remove(own)
        ranked = [(likeness(given, entry.facts), entry) for entry in known]
        if run is not None:
            ranked = _asked_of_curves(db, run, ranked)
        return _first(db, sorted(ranked, key=_order), limit)


def _asked_of_curves(
    db: sqlite3.Connection, run: Run, ranked: list[tuple[Likeness, Entry]]
) -> list[tuple[Likeness, Entry]]:
    """Move up the runs whose curves say that they are the same fine-tune as `run`."""
    steps, asked = run.steps_per_epoch, 0
    made: list[tuple[Likeness, Entry]] = []
    for found, entry in ranked:
        near = (
            found.rank > BY_CURVES
            and found.open
            and steps is not None
            and entry.steps_per_epoch is not None
            and math.isclose(steps, entry.steps_per_epoch, rel_tol=SAME_STEPS)
        )
        if near and asked < _CURVES_ASKED:
            asked += 1
            other = loaded(db, entry.id)
            if other is not None and same_fine_tune(other, run):
                found = by_curves(found)
        made.append((found, entry))
    return made


def _order(item: tuple[Likeness, Entry]) -> tuple[int, float, int]:
    found, entry = item
    return found.rank, found.distance, -entry.id


def _first(
    db: sqlite3.Connection, ranked: list[tuple[Likeness, Entry]], limit: int
) -> tuple[Comparable, ...]:
    made: list[Comparable] = []
    for found, entry in ranked:
        if len(made) >= limit:
            break
        run = loaded(db, entry.id)
        if run is not None:  # one damaged row costs no more than itself
            made.append(Comparable(entry, run, found.same, found.why))
    return tuple(made)
