"""Which of several runs is meant: the one of a name, or the likeliest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.wanted import listed
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.run import Run

NO_RUN = "FT409"


def likeliest(runs: Sequence[Run]) -> Run:
    """Return, of those with both train and eval loss, the one with most points, or the last."""
    places = range(len(runs))
    return runs[max(places, key=lambda at: (has_both(runs[at]), points(runs[at]), at))]


def called(runs: Sequence[Run], name: str, label: str) -> Run:
    """Return the run of this name: its whole name, or a part that no other has.

    Args:
        runs: The runs.
        name: Its name as the caller gave it.
        label: Path of the log or folder, for messages.

    Raises:
        LogError: FT409, none or several are called so; the hint has the names.
    """
    names = [run.source.run for run in runs]
    asked = name.casefold()
    for how, alike in (
        ("are called {}", [run for run in runs if run.source.run == name]),
        ("are called {}", [run for run in runs if run.source.run.casefold() == asked]),
        (
            "have {} in their names",
            [run for run in runs if asked and asked in run.source.run.casefold()],
        ),
    ):
        if len(alike) == 1:
            return alike[0]
        if alike:
            which = how.format(repr(clean(name, 80)))
            raise LogError(
                f"{clean(label, 1000)}: {len(alike)} runs {which}",
                code=NO_RUN,
                hint=f"Give the whole name of one: {listed([r.source.run for r in alike])}.",
            )
    known = [own for own in names if own]
    raise LogError(
        f"{clean(label, 1000)}: no run is called {clean(name, 80)!r}",
        code=NO_RUN,
        hint=f"There is {listed(known)}." if known else "The file holds one run, without a name.",
    )


def has_both(run: Run) -> bool:
    """Return whether a run has a train and an eval loss."""
    return bool(len(run.train) and len(run.eval))


def points(run: Run) -> int:
    """Return the number of its losses."""
    return len(run.train) + len(run.eval)
