"""Reads any training log into a `Run`.

All formats, our own included, come through the `register_readers` hook. The reader that is surest
of a file reads it; where it finds nothing, the next one tries.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard, cast

from ftadvise import plugins
from ftadvise.errors import LogError
from ftadvise.hookspecs import hookimpl
from ftadvise.readers.folder import LOOKED_FOR, logs_in
from ftadvise.readers.source import Reader, Source
from ftadvise.run import Run
from ftadvise.text import clean

__all__ = ["read", "read_all", "register_readers"]

_NAMES_SHOWN = 20


@hookimpl
def register_readers() -> list[Reader]:
    """Return the readers that come with ftadvise."""
    from ftadvise.readers import json_history, trainer_state

    return [trainer_state.READER, json_history.READER]


def read(path: str | os.PathLike[str], run: str | None = None) -> Run:
    """Read one training run from a log file, or from a folder that holds one.

    Of several runs in a file the one with both train and eval loss is taken, of those the one
    with most points, of those the last. `run.source.others` names the rest.

    Args:
        path: A log file, a checkpoint folder or an output folder.
        run: Name of the run to take, for a file with several.

    Raises:
        LogError: The log is missing, broken or without a loss history, or has no run called
            `run`. Its `code` and `hint` say which and what to do.
    """
    runs = read_all(path)
    if run is None:
        return max(
            enumerate(runs),
            key=lambda item: (
                bool(len(item[1].train) and len(item[1].eval)),
                len(item[1].train) + len(item[1].eval),
                item[0],
            ),
        )[1]
    for candidate in runs:
        if run == candidate.source.run:
            return candidate
    names = [candidate.source.run for candidate in runs if candidate.source.run]
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    raise LogError(
        f"{clean(path, 1000)}: no run is called {clean(run)!r}",
        code="FT409",
        hint=f"The file holds {shown}." if names else "The file holds one run, without a name.",
    )


def read_all(path: str | os.PathLike[str]) -> list[Run]:
    """Read every run in a log file, or in the log of a folder, in the order of the file.

    Args:
        path: A log file, a checkpoint folder or an output folder.

    Raises:
        LogError: As for `read`.
    """
    given = os.fspath(path)
    if not given:  # which pathlib takes for the folder at hand
        raise LogError("no path given: the name of the log is empty", code="FT401")
    place = Path(given)
    try:
        is_folder = place.is_dir()
    except (OSError, ValueError):
        is_folder = False
    if not is_folder:
        return _read_file(Source(place, given), given)
    known: LogError | None = None
    for file in logs_in(place):
        try:
            return _read_file(Source(file), str(file))
        except LogError as error:
            # What is wrong with trainer_state.json matters; that config.json is no log does not.
            if known is None and file.name in ("trainer_state.json", "training_metrics.json"):
                known = error
    raise known or LogError(
        f"{clean(given, 1000)}: no training log in this folder",
        code="FT405",
        hint=f"Looked for {LOOKED_FOR}.",
    )


def _read_file(source: Source, given: str) -> list[Run]:
    readers = sorted(
        ((_sureness(reader, source), reader) for reader in plugins.collect("register_readers")),
        key=lambda pair: pair[0],
        reverse=True,
    )
    first: LogError | None = None
    for sureness, reader in readers:
        if sureness <= 0:
            break
        try:
            runs = _read_with(reader, source)
        except LogError as error:
            first = first or error
            continue
        return _named(runs, given, reader.name)
    raise first or LogError(
        f"{source.label}: not in any known format",
        code="FT404",
        hint="`ftadvise plugins` lists the formats that can be read.",
    )


def _sureness(reader: Reader, source: Source) -> float:
    try:
        return float(reader.sniff(source))
    except Exception:  # noqa: BLE001 - a plugin that cannot tell is not sure
        return 0.0


def _read_with(reader: Reader, source: Source) -> list[Run]:
    """Call a reader, ours or a plugin's; whatever goes wrong in it becomes a `LogError`."""
    try:
        runs: Any = reader.read(source)
    except LogError:
        raise
    except MemoryError:
        raise LogError(f"{source.label}: too large for the memory", code="FT407") from None
    except Exception as error:
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


def _named(runs: list[Run], given: str, reader: str) -> list[Run]:
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
        )
        for own, run in enumerate(runs)
    ]
