"""Reads the SQLite store of MLflow, `mlflow.db`.

Its table `metrics` has a row for each point: key, value, timestamp, run_uuid, step, is_nan. A NaN
is written as 0 with is_nan 1, an infinity as the largest double. Source:
https://github.com/mlflow/mlflow, mlflow/store/tracking/sqlalchemy_store.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ftadvise.errors import LogError
from ftadvise.readers.files import sqlite
from ftadvise.readers.series.tables import number
from ftadvise_plugins.metric_tables import Tracked, as_param, means_something

if TYPE_CHECKING:
    import sqlite3

    from ftadvise.readers.source import Source
    from ftadvise.readers.wanted import Wanted

MAX_RUNS = 1000  # of one database: the newest
MAX_KEYS = 500

_METRICS = {"key", "value", "run_uuid"}
_LARGEST = 1.7976931348623157e308


def sniff(source: Source) -> float:
    """Return 0.95 for a database with the tables of MLflow, else 0."""
    try:
        tables = sqlite.tables(source)
    except LogError:
        return 0.0
    mine = tables.get("metrics", frozenset()) >= _METRICS
    return 0.95 if mine and "run_uuid" in tables.get("runs", frozenset()) else 0.0


def runs_of(source: Source, notes: list[str]) -> list[Tracked]:
    """Return the runs that were not deleted, in the order of the table.

    Raises:
        LogError: FT404 damaged or locked, FT407 over a limit.
    """
    if not sniff(source):
        raise LogError(f"{source.label}: no database of MLflow")
    tables = sqlite.tables(source)
    with sqlite.opened(source) as db:
        runs = _runs(db, tables, notes)
        keys, others = _keys(db, source.wanted, notes)
        _add_points(db, tables["metrics"], keys, runs, notes)
        if {"key", "value", "run_uuid"} <= tables.get("params", frozenset()):
            _add_params(db, runs, notes)
    found = [run for run in runs.values() if run.metrics]
    # A database of other metrics: one item carries their names into the message.
    return found or [Tracked((), others=others)]


def _runs(db: sqlite3.Connection, tables: sqlite.Tables, notes: list[str]) -> dict[str, Tracked]:
    columns = tables["runs"]
    wanted = [
        name if name in columns else "NULL"
        for name in ("run_uuid", "name", "experiment_id", "lifecycle_stage")
    ]
    experiments = _experiments(db, tables, notes)
    names = _run_names(db, tables, notes)
    query = f"SELECT {', '.join(wanted)} FROM runs LIMIT {10 * MAX_RUNS}"
    found = list(sqlite.rows(db, query, notes=notes))
    kept = [row for row in found if row[3] != "deleted"]
    several = len({row[2] for row in kept}) > 1
    runs: dict[str, Tracked] = {}
    for run, name, experiment, _ in kept[-MAX_RUNS:]:
        own = str(name or names.get(run) or str(run)[:8])
        above = experiments.get(experiment) if several else None
        runs[str(run)] = Tracked((str(above), own) if above else (own,))
    if len(kept) < len(found):
        notes.append(f"Left out {len(found) - len(kept)} deleted runs.")
    if len(kept) > len(runs):
        notes.append(f"The {len(runs)} newest of {len(kept)} runs were read.")
    return runs


def _experiments(
    db: sqlite3.Connection, tables: sqlite.Tables, notes: list[str]
) -> dict[Any, Any]:
    if not {"experiment_id", "name"} <= tables.get("experiments", frozenset()):
        return {}
    query = f"SELECT experiment_id, name FROM experiments LIMIT {MAX_RUNS}"
    return dict(sqlite.rows(db, query, notes=notes))


def _run_names(db: sqlite3.Connection, tables: sqlite.Tables, notes: list[str]) -> dict[Any, Any]:
    """Return the names that old versions keep as a tag."""
    if not {"key", "value", "run_uuid"} <= tables.get("tags", frozenset()):
        return {}
    query = "SELECT run_uuid, value FROM tags WHERE key = 'mlflow.runName'"
    return dict(sqlite.rows(db, query, notes=notes))


def _keys(db: sqlite3.Connection, wanted: Wanted, notes: list[str]) -> tuple[list[str], list[str]]:
    """Return the metrics that belong to a history, and names of others."""
    query = f"SELECT DISTINCT key FROM metrics LIMIT {20 * MAX_KEYS}"
    names = [row[0] for row in sqlite.rows(db, query, notes=notes) if isinstance(row[0], str)]
    known = [name for name in names if means_something(name, wanted)]
    others = [name for name in names if not means_something(name, wanted)]
    return known[:MAX_KEYS], others[:MAX_KEYS]


def _add_points(
    db: sqlite3.Connection,
    columns: frozenset[str],
    keys: list[str],
    runs: dict[str, Tracked],
    notes: list[str],
) -> None:
    """Add the points of `keys` to their runs, in the order in which they were written."""
    optional = [name if name in columns else "0" for name in ("timestamp", "step", "is_nan")]
    condition = f"key IN ({', '.join('?' for _ in keys)})"
    newest = sqlite.newest(db, "metrics", "run_uuid", condition, keys, notes=notes)
    query = (
        f"SELECT run_uuid, key, value, {', '.join(optional)} FROM metrics WHERE {condition}"
        + (f" AND run_uuid IN ({', '.join('?' for _ in newest)})" if newest else "")
        + " ORDER BY rowid"
    )
    unread = 0
    for run, key, *rest in sqlite.rows(db, query, [*keys, *newest], notes=notes):
        value, time, step, is_nan = (number(x) if x is not None else None for x in rest)
        tracked = runs.get(run)
        if tracked is None:
            continue
        if value is None or time is None or step is None or not math.isfinite(time + step):
            unread += 1
            continue
        point = (time, step, _value(value, bool(is_nan)))
        tracked.metrics.setdefault(key, []).append(point)
    if unread:
        notes.append(f"Left out {unread} points that are no numbers.")


def _value(value: float, is_nan: bool) -> float:
    if is_nan:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= _LARGEST else value


def _add_params(db: sqlite3.Connection, runs: dict[str, Tracked], notes: list[str]) -> None:
    for run, key, value in sqlite.rows(db, "SELECT run_uuid, key, value FROM params", notes=notes):
        tracked = runs.get(run)
        if tracked is None or not isinstance(key, str) or len(tracked.params) >= MAX_KEYS:
            continue
        tracked.params[key] = as_param(value) if isinstance(value, str) else value
