"""Reads any training log into a `Run`.

All formats, our own included, come through the `register_readers` hook. The reader that is surest
of a file reads it; where it finds nothing, the next one tries. Of a folder the logs of all runs
below it are read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.hookspecs import hookimpl
from ftadvise.readers.folders.below import read_below, read_each
from ftadvise.readers.picking import called, likeliest
from ftadvise.readers.reading import runs_in_source
from ftadvise.readers.source import Reader, opened
from ftadvise.readers.wanted import Wanted

if TYPE_CHECKING:
    from ftadvise.run import Run

__all__ = ["folder_of", "read", "read_all", "register_readers"]


@hookimpl
def register_readers() -> list[Reader]:
    """Return the readers that come with ftadvise."""
    from ftadvise.readers.files import unknown_sqlite
    from ftadvise.readers.json_logs import json_history, trainer_state
    from ftadvise.readers.table_logs import tabular
    from ftadvise.readers.console_logs import console_readers  # isort: skip
    from ftadvise.readers.text_logs import text_readers  # isort: skip

    return [
        trainer_state.READER,
        json_history.READER,
        unknown_sqlite.READER,
        *tabular.READERS,
        *console_readers.READERS,
        *text_readers.READERS,
    ]


def read(
    path: str | os.PathLike[str],
    run: str | None = None,
    key: str | None = None,
    eval_key: str | None = None,
) -> Run:
    """Read one training run from a log file, or from a folder with runs in it.

    Of several runs in a file the one with both train and eval loss is taken, of those the one
    with most points, of those the last. Of several in a folder the one with both whose log was
    written last. `run.source.others` names the rest.

    Args:
        path: A log file, `-` for the standard input, a checkpoint folder, an output folder or one
            with several of them.
        run: Name of the run to take, or a part of its name that no other has.
        key: Name of the train loss in the log, where it is not the one that is meant: its whole
            name or the end of it, as `loss` of `metrics.loss`. Empty for no train loss.
        eval_key: Name of the eval loss, likewise. Empty for no eval loss.

    Raises:
        LogError: The log is missing, broken or without a loss history, or has no run or no series
            of that name. Its `code` and `hint` say which and what to do.
    """
    wanted = Wanted(key, eval_key)
    folder = folder_of(path)
    if folder is not None:
        below = read_below(folder, wanted, read_each)
        if run is None:
            return below.newest().run
        return below.called(run, os.fspath(path)).run
    runs = _of_file(path, wanted)
    return likeliest(runs) if run is None else called(runs, run, os.fspath(path))


def read_all(
    path: str | os.PathLike[str], key: str | None = None, eval_key: str | None = None
) -> list[Run]:
    """Read every run in a log file, in its order, or in a folder, by their names.

    Args:
        path: As for `read`.
        key: As for `read`; runs without a series of that name are left out.
        eval_key: Likewise.

    Raises:
        LogError: As for `read`.
    """
    wanted = Wanted(key, eval_key)
    folder = folder_of(path)
    if folder is None:
        return _of_file(path, wanted)
    return [one.run for one in read_below(folder, wanted, read_each).runs]


def folder_of(path: str | os.PathLike[str]) -> Path | None:
    """Return `path` if it is a folder.

    Raises:
        LogError: FT401, the path is empty.
    """
    given = os.fspath(path)
    if not given:  # which pathlib takes for the folder at hand
        raise LogError("no path given: the name of the log is empty", code="FT401")
    place = Path(given)
    try:
        return place if given != "-" and place.is_dir() else None
    except (OSError, ValueError):
        return None


def _of_file(path: str | os.PathLike[str], wanted: Wanted) -> list[Run]:
    given = os.fspath(path)
    return runs_in_source(opened(given, wanted=wanted), given)
