"""From the values or tables of a log to its runs, whatever format they came from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.json_logs.setup import planned_epochs_in, settings_in
from ftadvise.readers.series.choose import drafts as drafts_of
from ftadvise.readers.series.fillers import without_fillers
from ftadvise.readers.series.finish import runs_of, with_plan
from ftadvise.readers.series.keys import LOSSES, split_of, words
from ftadvise.readers.series.search import Found, search
from ftadvise.readers.series.tallies import without_tallies
from ftadvise.readers.wanted import ANY, Wanted
from ftadvise.run import Settings
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.readers.series.draft import Draft
    from ftadvise.readers.series.tables import Table
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

MAX_RUNS = 1000

_HELPS = "Give trainer_state.json from the checkpoint folder, or the console log of the run."


def read_value(source: Source, value: Any, notes: Iterable[str] = ()) -> list[Run]:
    """Return every run in the value that a log holds.

    Args:
        source: The log, for its name and for the keys that are wanted of it.
        value: What stands in it: lists and objects as JSON has them, at any depth.
        notes: What had to be assumed or left out to get the value.

    Raises:
        LogError: FT405 no history in it, FT406 a history of something else.
    """
    runs, found = runs_in(value, source.wanted)
    if not runs:
        raise nothing_found(source.label, found)
    return [replace(run, notes=(*notes, *run.notes)) for run in runs]


def runs_in(value: Any, wanted: Wanted = ANY) -> tuple[list[Run], Found]:
    """Return the runs in a value as JSON has them, and all that the search found."""
    found = search(value, wanted)
    planned, settings = planned_epochs_in(value), settings_in(value)
    tables, notes = without_fillers(found.tables)
    runs = runs_of_tables(tables, wanted, planned, settings, found.other)
    return [_with_notes(run, notes) for run in runs], found


def _with_notes(run: Run, notes: dict[str, str]) -> Run:
    """Return the run with the notes on its own series."""
    own = [notes[key] for key in (run.train.key, run.eval.key) if key in notes]
    return replace(run, notes=(*run.notes, *own)) if own else run


def runs_of_tables(
    tables: list[Table],
    wanted: Wanted = ANY,
    planned: float | None = None,
    settings: Settings | None = None,
    others: Iterable[str] = (),
) -> list[Run]:
    """Return the runs in tables of numbers, for formats that hold columns rather than values.

    Args:
        tables: One per run; a train and an eval table that lie side by side are joined.
        wanted: The keys to take.
        planned: Epochs that the schedule was made for, where the log says so.
        settings: What else it says.
        others: Names of further series of the log, for the message when one is asked for.

    Raises:
        NoSuchSeries: FT409, no series has the name that was asked for, or several have.
    """
    settings, others = settings or Settings(), list(others)
    tables = without_tallies(tables, others, wanted)
    drafts = _as_wanted(_paired(drafts_of(tables[:MAX_RUNS], wanted, others)), wanted)
    runs: list[Run] = []
    for made, name in zip(drafts, _names([d.path for d in drafts]), strict=True):
        for run in runs_of(made, name, planned):
            epochs = np.concatenate([run.train.epoch, run.eval.epoch])
            reached = float(np.max(epochs, initial=0.0, where=np.isfinite(epochs)))
            plan = planned if planned and planned >= 0.99 * reached else None
            runs.append(with_plan(run, plan, run.planned_steps, settings))
    if len(tables) > MAX_RUNS:
        note = f"Read the first {MAX_RUNS} tables of {len(tables)}: there may be more runs."
        runs = [replace(run, notes=(*run.notes, note)) for run in runs]
    return runs


def nothing_found(label: str, found: Found) -> LogError:
    """Return the error that says what a file without a loss history does hold."""
    for table in found.tables:
        if table.summary and any(c.meaning.role in ("train", "eval") for c in table.columns):
            size = max(c.size for c in table.columns)
            what = f"one final value per {table.summary} ({size} rows), no history of one run"
            return LogError(f"{label}: {what}", code="FT405", hint=_HELPS)
    if found.other:
        names = ", ".join(clean(name, 60) for name in dict.fromkeys(found.other[:6]))
        return LogError(
            f"{label}: metrics but no loss among them: {names}",
            code="FT406",
            hint=f"Log the train and eval loss. {_HELPS}",
        )
    values = "; ".join(_final_values(found.finals))
    kind = "final values only" if any(map(_names_loss, found.finals)) else "single numbers only"
    what = f"{kind}: {values}" if values else "no numbers of a training run"
    return LogError(f"{label}: no loss history; {what}", code="FT405", hint=_HELPS)


def _final_values(finals: dict[str, float]) -> list[str]:
    def order(name: str) -> tuple[bool, bool, bool]:
        found = set(words(name))
        is_loss = _names_loss(name)
        is_time = not found.isdisjoint({"epoch", "epochs", "step", "steps"}) and "per" not in found
        return not (is_loss or is_time), not is_loss, "." in name

    names = sorted(finals, key=order)
    return [f"{clean(name, 60)} {finals[name]:.4g}" for name in names[:4]]


def _names_loss(name: str) -> bool:
    return not {"loss", "losses"}.isdisjoint(words(name))


def _paired(drafts: list[Draft]) -> list[Draft]:
    """Join a train history with the eval history that lies beside it."""
    paired: list[Draft] = []
    waiting: dict[tuple[str, ...], Draft] = {}
    for made in drafts:
        place = _place_without_split(made.path)
        other = waiting.get(place)
        if other is not None and other.curves.keys().isdisjoint(made.curves.keys() - {"rate"}):
            other.curves = {**made.curves, **other.curves}
            other.same_places = False
            other.notes = [*other.notes, *made.notes]
            other.path = place
            del waiting[place]
            continue
        if len(made.curves.keys() & {"train", "eval"}) == 1 and place != made.path:
            waiting[place] = made
        paired.append(made)
    return paired


def _as_wanted(drafts: list[Draft], wanted: Wanted) -> list[Draft]:
    """Return the drafts that have the series that were asked for by name."""
    roles = [role for role in LOSSES if wanted.of(role)]
    return [made for made in drafts if all(role in made.curves for role in roles)]


def _place_without_split(path: tuple[str, ...]) -> tuple[str, ...]:
    if path and split_of(path[-1]):
        return path[:-1]
    return path


def _names(paths: list[tuple[str, ...]]) -> list[str]:
    """Return a name for each path: what tells them apart, and no more."""
    if len(paths) < 2:
        return ["" for _ in paths]
    shared = {
        part for part in set(paths[0]) if all(part in path for path in paths)
    }  # containers that all of them lie in
    names = [clean("/".join(part for part in path if part not in shared), 80) for path in paths]
    names = [name or f"run {place}" for place, name in enumerate(names, 1)]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[place] = f"{name} ({seen[name]})"
    return names
