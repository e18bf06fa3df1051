"""Reads the runs that MLflow tracked: its file store `mlruns` and its database `mlflow.db`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.files import sqlite
from ftadvise.readers.source import Reader, Source
from ftadvise.text import clean
from ftadvise_plugins.metric_tables import Tracked, runs_of
from ftadvise_plugins.mlflow import database, files

if TYPE_CHECKING:
    from ftadvise.run import Run

_SHOWN = 6
_WHOLE_RUN = "Give the folder of the run (mlruns/EXPERIMENT/RUN), where all its metrics are."


def sniff(source: Source) -> float:
    """Return 0.95 for lines of a metric, a run's `meta.yaml` and a database with its tables."""
    if sqlite.is_sqlite(source):
        return database.sniff(source)
    if files.is_metric(source.head) or files.is_meta(source.head):
        return 0.95
    return 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in a store, in its order.

    Raises:
        LogError: FT404 damaged, FT405 no run with a history, FT406 metrics but no loss.
    """
    notes: list[str] = []
    if sqlite.is_sqlite(source):
        tracked = database.runs_of(source, notes)
    elif len(source.files) == 1 and files.is_meta(source.head):
        message = f"{source.label}: MLflow's description of a run, without its metrics"
        raise LogError(message, code="FT405", hint=_WHOLE_RUN)
    else:
        tracked = files.runs_of(source, notes)
    runs = runs_of(tracked, source.wanted)
    if not runs:
        raise _nothing(source, tracked)
    return [replace(run, notes=(*notes, *run.notes)) for run in runs]


def _nothing(source: Source, tracked: list[Tracked]) -> LogError:
    """Return the error that says what the store holds instead of a loss history."""
    names = list(dict.fromkeys(name for one in tracked for name in [*one.metrics, *one.others]))
    if not names:
        return LogError(f"{source.label}: an MLflow store without any metric", code="FT405")
    shown = ", ".join(clean(name, 60) for name in names[:_SHOWN])
    more = ", ..." if len(names) > _SHOWN else ""
    one_file = len(source.files) == 1 and not sqlite.is_sqlite(source)
    what = "an MLflow metric file of" if one_file else "MLflow metrics but no loss among them:"
    hint = _WHOLE_RUN if one_file else "Log the train and eval loss with mlflow.log_metric."
    return LogError(f"{source.label}: {what} {shown}{more}", code="FT406", hint=hint)


READER = Reader(
    name="mlflow",
    description="runs tracked by MLflow: metric files, run folders of mlruns, mlflow.db",
    sniff=sniff,
    read=read,
    gather=files.gather,
)
