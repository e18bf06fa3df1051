"""From the logs in a folder to its runs, each once and with a name that tells it from the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.folders.belonging import Log
from ftadvise.readers.folders.folder import LOOKED_FOR, Folder, logs_below
from ftadvise.readers.folders.ranks import TELLING
from ftadvise.readers.folders.twins import Told, twins
from ftadvise.readers.picking import called, has_both, points
from ftadvise.readers.reading import runs_in_source
from ftadvise.readers.source import Source
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ftadvise.readers.wanted import Wanted
    from ftadvise.run import Run

    Outcome = list[Run] | LogError

SAME_MOMENT = 60.0  # seconds between two files that were written, or copied, at once
_LONGEST_NAME = 200
_SEVERE = ("FT407", "FT999")  # too large, or the death of a process: said of any file


@dataclass(frozen=True, eq=False)
class Below:
    """One run in a folder.

    Attributes:
        run: The run; of several its `source.run` is its name.
        log: Its log.
    """

    run: Run
    log: Log


@dataclass(frozen=True, eq=False)
class RunsBelow:
    """The runs in a folder.

    Attributes:
        runs: At least one, in the order of their names.
        unread: Logs by their names that cannot be read, with what is wrong with them.
        notes: Why there may be more, one sentence each.
    """

    runs: tuple[Below, ...]
    unread: tuple[tuple[Log, LogError], ...] = ()
    notes: tuple[str, ...] = ()

    def newest(self) -> Below:
        """Return the run that is most likely meant.

        Of those with both a train and an eval loss (of all, where none has both) it is the one
        whose log was written last; of those written within a minute of it, as in a copied folder,
        the one with most points, and of those the last by name. A run that ended before there
        were two points is taken where all did.
        """
        both = [one for one in self.runs if has_both(one.run)]
        curves = [one for one in both or self.runs if _is_curve(one.run)]
        likely = curves or both or list(self.runs)
        latest = max(one.log.written for one in likely)
        late = [one for one in likely if one.log.written >= latest - SAME_MOMENT]
        return late[max(range(len(late)), key=lambda place: (points(late[place].run), place))]

    def called(self, name: str, label: str) -> Below:
        """Return the run of this name, as `picking.called`."""
        run = called([one.run for one in self.runs], name, label)
        return next(one for one in self.runs if one.run is run)


def _is_curve(run: Run) -> bool:
    return max(len(run.train), len(run.eval)) > 1


def read_below(
    folder: Path,
    wanted: Wanted,
    each: Callable[[Sequence[Log], Wanted], Iterable[Outcome]],
) -> RunsBelow:
    """Return the runs in a folder.

    Args:
        folder: The folder.
        wanted: The series that were asked for by name.
        each: Reads logs, in their order; `read_each` does it one after the other.

    Raises:
        LogError: There is no run; what is wrong with the first log is said.
    """
    found = logs_below(folder)
    for logs in (found.logs, found.unlikely):
        outcomes = list(zip(logs, each(logs, wanted), strict=True)) if logs else []
        runs = [Below(run, log) for log, out in outcomes if isinstance(out, list) for run in out]
        wrong = [(log, out) for log, out in outcomes if isinstance(out, LogError)]
        if runs:
            # A name that promises little says nothing of which of two such logs tells more.
            told = [Told(b.run, b.log.place, min(b.log.rank, TELLING)) for b in runs]
            kept = [one for one, twin in zip(runs, twins(told), strict=True) if not twin]
            unread = tuple(pair for pair in wrong if pair[0].strong or pair[1].code in _SEVERE)
            return RunsBelow(tuple(_named(kept, found.notes)), unread, found.notes)
        for log, error in wrong:
            if log.strong or wanted.key or wanted.eval_key:
                raise error
    raise _no_log(folder, found)


def read_each(logs: Sequence[Log], wanted: Wanted) -> Iterable[Outcome]:
    """Yield the runs of each log, or why it cannot be read."""
    for log in logs:
        try:
            yield read_log(log, wanted)
        except LogError as error:
            yield error


def read_log(log: Log, wanted: Wanted) -> list[Run]:
    """Return the runs in the first files of a log that can be read.

    Raises:
        LogError: None can; what is wrong with the first is said.
    """
    first: LogError | None = None
    for files in log.choices:
        label = str(files[0])
        try:
            runs = runs_in_source(Source(files[0], label, wanted, files), label)
        except LogError as error:
            first = first or error
            continue
        if first is None:
            return runs
        note = f"Read from {clean(files[0].name, 80)}, because: {clean(first.message, 300)}."
        return [replace(run, notes=(note, *run.notes)) for run in runs]
    raise first or LogError(f"{clean(log.name)}: no file to read", code="FT401")


def _no_log(folder: Path, found: Folder) -> LogError:
    why = " ".join(found.notes)
    return LogError(
        f"{clean(folder, 1000)}: no training log in this folder",
        code="FT405",
        hint=f"Looked for {LOOKED_FOR}. {why}".strip(),
    )


def _named(runs: Sequence[Below], notes: Sequence[str]) -> list[Below]:
    """Return the runs under the names by which the folder knows them; those of one log keep theirs."""
    if len({one.log.name for one in runs}) == 1:
        return [replace(one, run=replace(one.run, notes=(*one.run.notes, *notes))) for one in runs]
    names = _names(runs)
    return [
        replace(
            one,
            run=replace(
                one.run,
                source=replace(
                    one.run.source,
                    run=name,
                    others=tuple(other for place, other in enumerate(names) if place != own),
                ),
                notes=(*one.run.notes, *notes),
            ),
        )
        for own, (one, name) in enumerate(zip(runs, names, strict=True))
    ]


def _names(runs: Sequence[Below]) -> list[str]:
    """Return what tells the runs apart: where they lie below what is common to all, and their own."""
    places = [one.log.name.split("/") if one.log.name != "." else [] for one in runs]
    shared = 0
    while all(len(place) > shared + 1 for place in places) and (
        len({place[shared] for place in places}) == 1
    ):
        shared += 1
    names: list[str] = []
    for place, one in zip(places, runs, strict=True):
        parts = [*place[shared:], one.run.source.run] if one.run.source.run else place[shared:]
        names.append(clean("/".join(parts), _LONGEST_NAME) or ".")
    seen: Counter[str] = Counter()
    for at, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[at] = f"{name} ({seen[name]})"
    return names
