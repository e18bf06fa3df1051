"""Reads one log: the reader that is surest of it, and where it finds nothing, the next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from ftadvise import plugins
from ftadvise.errors import LogError
from ftadvise.plugin_faults import FAULTS
from ftadvise.readers.wanted import NoSuchSeries, match, none_left, none_of
from ftadvise.run import Run, Series
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.readers.source import Reader, Source
    from ftadvise.readers.wanted import Wanted


def runs_in_source(source: Source, given: str) -> list[Run]:
    """Return every run in a log, in its order.

    Args:
        source: The log.
        given: Its path as the caller gave it, which becomes `run.source.path`.

    Raises:
        LogError: No reader can read it; what the surest of them found is said.
    """
    first: LogError | None = None
    for reader in by_sureness(source):
        try:
            runs = _as_wanted(_read_with(reader, source), source.wanted)
        except LogError as error:
            known = error.named(source.label) if isinstance(error, NoSuchSeries) else error
            first = first or known
            continue
        return _named(runs, given, reader.name, source.notes)
    raise first or LogError(
        f"{source.label}: not in any known format",
        code="FT404",
        hint="`ftadvise plugins` lists the formats that can be read.",
    )


def by_sureness(source: Source) -> list[Reader]:
    """Return the readers that may read a log, the surest first."""
    readers = (
        (sureness(reader, source), reader) for reader in plugins.collect("register_readers")
    )
    sure = [pair for pair in readers if pair[0] > 0]
    return [reader for _, reader in sorted(sure, key=lambda pair: pair[0], reverse=True)]


def sureness(reader: Reader, source: Source) -> float:
    """Return how sure a reader is of a log, 0 where it fails to say."""
    try:
        return float(reader.sniff(source))
    except FAULTS:
        return 0.0


def _read_with(reader: Reader, source: Source) -> list[Run]:
    """Call a reader, ours or a plugin's; whatever goes wrong in it becomes a `LogError`."""
    try:
        runs: Any = reader.read(source)
    except LogError:
        raise
    except MemoryError:
        raise LogError(f"{source.label}: too large for the memory", code="FT407") from None
    except FAULTS as error:
        raise LogError(
            f"{source.label}: the reader {clean(reader.name)} failed: "
            f"{type(error).__name__}: {clean(error)}",
            hint="Report this to the author of the reader.",
        ) from error
    if not _are_runs(runs):
        raise LogError(f"{source.label}: the reader {clean(reader.name)} returned no list of runs")
    if not runs:
        raise LogError(f"{source.label}: no loss history", code="FT405")
    return runs


def _are_runs(value: object) -> TypeGuard[list[Run]]:
    return isinstance(value, list) and all(
        isinstance(item, Run) for item in cast("list[object]", value)
    )


def _as_wanted(runs: list[Run], wanted: Wanted) -> list[Run]:
    """Return the runs with the series that were asked for, whatever the reader made of that.

    Raises:
        NoSuchSeries: FT409, no run has them.
    """
    for role in ("train", "eval"):
        name = wanted.of(role)
        if name is None:
            continue
        if not name:
            none = Series()
            runs = [
                replace(run, train=none) if role == "train" else replace(run, eval=none)
                for run in runs
            ]
            continue
        known = [key for run in runs for key in (run.train.key, run.eval.key) if key]
        runs = [run for run in runs if _is_called(_series(run, role), name)]
        if not runs:
            raise none_of(name, known)
    left = [run for run in runs if len(run.train) or len(run.eval)]
    if not left:
        raise none_left()
    return left


def _series(run: Run, role: str) -> Series:
    return run.train if role == "train" else run.eval


def _is_called(series: Series, name: str) -> bool:
    # `train.loss` is asked for where the series `loss` of the run `train` is meant, too.
    return series.key is not None and bool(match(series.key, name) or match(name, series.key))


def _named(runs: list[Run], given: str, reader: str, notes: tuple[str, ...]) -> list[Run]:
    """Return the runs with where they come from, and how their log was opened."""
    names = [run.source.run for run in runs]
    return [
        replace(
            run,
            source=replace(
                run.source,
                path=given,
                format=reader,
                others=tuple(name for place, name in enumerate(names) if place != own),
            ),
            notes=tuple(dict.fromkeys([*notes, *run.notes])),
        )
        for own, run in enumerate(runs)
    ]
