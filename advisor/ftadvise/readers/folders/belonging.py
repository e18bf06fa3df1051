"""Sorts the files of a folder by the runs that they belong to.

A run leaves several files: checkpoints with a state each, a log of its own, event files, what was
printed. The strongest of them is its log, and the others are tried only where that cannot be read;
which files belong together is told by their names and by the folders they lie in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftadvise.readers.folders.gathering import gathered
from ftadvise.readers.folders.ranks import ANCHOR, DATA, LOG, STATE, STORE, TELLING, mlflow_run
from ftadvise.readers.series.keys import is_split_word
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ftadvise.readers.folders.walk import File, Place, Tree

MAX_LOOSE = 2000  # files of which only the content can say that they are logs
MAX_SMALL = 200  # of those with a name that tells nothing, which are cheap to look at
SMALL = 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024  # of a file whose name does not say that it is a log
MAX_ASIDE = 3  # logs of other kinds beside the log of a run that are taken for its own
MAX_SECOND = 20  # further files of a run that are tried where its log cannot be read

_STATE_FOLDER = re.compile(
    r"(?:checkpoint|ckpt|global_?step|step|epoch|iter)[-_]?(\d{1,15})$", re.IGNORECASE
)
_DIGITS = re.compile(r"(\d+)")
_BELOW_A_STORE = ("files", "logs", "tmp")  # where W&B puts what belongs to the run


@dataclass(frozen=True)
class Log:
    """The log of what is probably one run.

    Attributes:
        name: Where it lies in the folder.
        place: The folder of the run, by the names of the folders on the way.
        choices: The files of the log, and those to try where they cannot be read.
        rank: What the names of its files promise.
        written: When it was last written, in seconds of the system's clock.
    """

    name: str
    place: Place
    choices: tuple[tuple[Path, ...], ...]
    rank: int
    written: float

    @property
    def strong(self) -> bool:
        """Whether its name says that it is a log, so that it has to be said when it is none."""
        return self.rank < TELLING


@dataclass(frozen=True)
class _Group:
    """The files of one run, and what is known of those whose names tell something."""

    paths: tuple[Path, ...]
    files: list[File]


@dataclass
class Sorted:
    """Files by the runs that they belong to.

    Attributes:
        logs: The logs.
        unlikely: Files to try where none of the logs holds a run.
        notes: What was left out, one sentence each.
    """

    logs: list[Log] = field(default_factory=list[Log])
    unlikely: list[Log] = field(default_factory=list[Log])
    notes: list[str] = field(default_factory=list[str])


def sort_by_run(root: Path, above: Place, tree: Tree) -> Sorted:
    """Return the logs that the files below a folder are.

    Args:
        root: The folder that was searched.
        above: The folders on the way to it, itself included.
        tree: The files below it that may be logs.
    """
    found = Sorted(notes=list(tree.notes))
    left = _with_a_state(tree.files, found)
    logs, stores = (_gathered(root, above, left, rank) for rank in (LOG, STORE))
    weak: dict[Place, list[File]] = {}
    for file in left:
        if file.rank not in (LOG, STORE):
            weak.setdefault(file.place, []).append(file)
    for place in sorted({*logs, *stores}, key=lambda place: (len(place), place)):
        own = [*logs.get(place, ()), *stores.get(place, ())]
        aside = [file for near in _asides(place) for file in weak.get(near, ())]
        few = sum(file.rank == TELLING for file in weak.get(place, ())) <= MAX_ASIDE
        if few and (place in logs or len(own) == 1):
            # The metrics of a run, its event files, what was printed: the first says enough.
            choices = [group.paths for group in own]
            choices += [(file.path,) for file in aside if file.rank < DATA][:MAX_SECOND]
            found.logs.append(_log(place, "", choices, own[0].files))
            for near in _asides(place):
                weak.pop(near, None)
        else:
            found.logs += [_log(place, g.paths[0].name, [g.paths], g.files) for g in own]
    loose = [file for some in weak.values() for file in some]
    loose.sort(key=lambda file: file.rank == DATA)
    _loose(loose, tree.passed, found)
    return found


def _asides(place: Place) -> list[Place]:
    return [place, *((*place, name) for name in _BELOW_A_STORE)]


def _gathered(root: Path, above: Place, files: list[File], rank: int) -> dict[Place, list[_Group]]:
    """Return the files of one rank in groups of a run each, by the folders of the runs."""
    by_path = {file.path: file for file in files if file.rank == rank}
    found: dict[Place, list[_Group]] = {}
    for together in gathered(root, list(by_path)):
        own = [by_path[path] for path in together if path in by_path]
        runs = [mlflow_run(file.place, above) for file in own]
        places = [f.place if run is None else run for f, run in zip(own, runs, strict=True)]
        found.setdefault(_home(places), []).append(_Group(together, own))
    return found


def _home(places: list[Place]) -> Place:
    """Return the folder of a run whose files lie in `places`, in their order.

    It is the one that holds the others, or the folders of its splits; of the folders that a run
    has for each of its starts it is the last.
    """
    first, last = min(places), max(places)
    size = 0
    while size < min(len(first), len(last)) and first[size] == last[size]:
        size += 1
    shared = first[:size]
    whole = all(place == shared or is_split_word(place[size]) for place in places)
    return shared if whole or shared in places else places[-1]


def _with_a_state(files: list[File], found: Sorted) -> list[File]:
    """Take the folders of a state: all that lies in and below them is of that run.

    Returns the files that are in none.
    """
    states: dict[Place, list[File]] = {}
    for file in files:
        if file.rank == ANCHOR and (file.name.startswith(STATE) or is_ours(file.path)):
            inside = file.place and _STATE_FOLDER.match(file.place[-1])
            states.setdefault(file.place[:-1] if inside else file.place, []).append(file)
    left: list[File] = []
    second: dict[Place, list[File]] = {place: [] for place in states}
    for file in files:
        home = next((place for place in _upwards(file.place) if place in states), None)
        if home is None:
            left.append(file)
        elif file not in states[home] and (file.place == home or file.rank in (LOG, STORE)):
            second[home].append(file)
    for place, own in states.items():
        own.sort(key=lambda file: _strength(file, place))
        more = sorted(second[place], key=lambda file: (file.rank, file.place, file.name))
        choices: list[tuple[Path, ...]] = [(file.path,) for file in (*own, *more[:MAX_SECOND])]
        found.logs.append(_log(place, "", choices, own))
    return left


def _upwards(place: Place) -> Iterator[Place]:
    return (place[:size] for size in range(len(place), -1, -1))


def _strength(file: File, place: Place) -> tuple[int, int]:
    """Order the states of a run: our own metrics, the state beside them, the last checkpoint."""
    if file.place == place:
        return (int(file.name.startswith(STATE)), 0)
    number = _STATE_FOLDER.match(file.place[-1])
    return (2, -int(number[1]) if number else 0)


def _loose(files: list[File], passed: int, found: Sorted) -> None:
    """Take files of which only the content can say that they are logs, each for itself."""
    small = 0
    for file in files[:MAX_LOOSE]:
        if file.size > MAX_BYTES:
            found.notes.append(
                f"Left out {clean(file.name, 80)}: {file.size / 2**20:.0f} MiB, and its name does "
                "not say that it is a log."
            )
            continue
        small += file.rank == DATA and file.size <= SMALL
        likely = file.rank != DATA or (file.size <= SMALL and small <= MAX_SMALL)
        kind = found.logs if likely else found.unlikely
        kind.append(_log(file.place, file.name, [(file.path,)], [file]))
    if small > MAX_SMALL:
        found.notes.append(
            f"Of {small:,} small files whose names do not say that they are logs, the first "
            f"{MAX_SMALL} were looked at, and the rest only if no log was found."
        )
    if len(files) + passed > MAX_LOOSE:
        found.notes.append(
            f"Only the first {MAX_LOOSE:,} of {len(files) + passed:,} files that may be logs were "
            "looked at."
        )


def _log(place: Place, name: str, choices: list[tuple[Path, ...]], files: list[File]) -> Log:
    """Return a log; `files` are those of its first choice."""
    whole = "/".join([*place, name] if name else place) or "."
    rank = min((file.rank for file in files), default=STORE)
    # Metrics that others called as ours are called are a file with a telling name.
    rank = TELLING if rank == ANCHOR and name else rank
    written = max((file.written for file in files), default=0.0)
    return Log(whole, place, tuple(choices), rank, written)


def is_ours(metrics: Path) -> bool:
    """Return whether `ftadvise train` wrote it: then it says more than a `trainer_state.json`."""
    try:
        with metrics.open("rb") as file:
            return b'"ftadvise.metrics/' in file.read(200)
    except OSError:
        return False


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts `version_2` before `version_10`."""
    parts = _DIGITS.split(name)
    return [(int(part[:18]), "") if part.isdecimal() else (-1, part) for part in parts]
