"""Reads the runs that Trackio tracked: one SQLite database for each project.

A row of its table `metrics` is one call of `trackio.log`: run_name, step and the metrics as a JSON
object, in which NaN and infinities are texts. Runs have an id of their own since version 0.24;
before, the name told them apart. Source: https://github.com/gradio-app/trackio,
trackio/sqlite_storage.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from ftadvise.errors import LogError
from ftadvise.readers.files import sqlite
from ftadvise.readers.series.tables import number
from ftadvise.readers.series.values import nothing_found, runs_in
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.wanted import NoSuchSeries
from ftadvise_plugins.metric_tables import in_use, name_of

if TYPE_CHECKING:
    import sqlite3

    from ftadvise.run import Run

Row = dict[str, Any]

MAX_RUNS = 1000
MAX_KEYS = 200  # numbers of one row
MAX_JSON = 4 * 1024 * 1024  # characters in one row: it may hold a table or a picture

_METRICS = {"run_name", "metrics", "step"}
# transformers ends a run with a row of means: its train loss is no point of the curve.
_END_OF_RUN = frozenset({"train_runtime", "train/train_runtime"})
_STEP = "step"


@dataclass
class _Logged:
    """The rows of one run."""

    name: str
    rows: list[Row] = field(default_factory=list[Row])
    config: Row = field(default_factory=dict[str, Any])


def sniff(source: Source) -> float:
    """Return 0.95 for a database with the tables of Trackio, else 0."""
    if not sqlite.is_sqlite(source):
        return 0.0
    try:
        tables = sqlite.tables(source)
    except LogError:
        return 0.0
    return 0.95 if tables.get("metrics", frozenset()) >= _METRICS else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs of a project, in the order in which they began.

    Raises:
        LogError: FT404 damaged or locked, FT405 no run with a history, FT406 metrics but no loss,
            FT407 over a limit.
    """
    if not sniff(source):
        raise LogError(f"{source.label}: no database of Trackio")
    notes: list[str] = []
    tables = sqlite.tables(source)
    with sqlite.opened(source) as db:
        logged = _logged(db, tables["metrics"], notes)
        if {"run_name", "config"} <= tables.get("configs", frozenset()):
            _add_configs(db, tables["configs"], logged, notes)
    runs = _runs(logged, source)
    if not runs:
        _, found = runs_in([row for one in logged.values() for row in one.rows][:1000])
        raise nothing_found(f"{source.label}: a Trackio project", found)
    return [replace(run, notes=(*notes, *run.notes)) for run in runs]


def _logged(
    db: sqlite3.Connection, columns: frozenset[str], notes: list[str]
) -> dict[str, _Logged]:
    """Return the rows of each run by its id, or by its name where runs have none."""
    mark = "run_id" if "run_id" in columns else "run_name"
    newest = sqlite.newest(db, "metrics", mark, notes=notes)
    condition = f"{mark} IN ({', '.join('?' for _ in newest)})" if newest else "TRUE"
    query = f"SELECT {mark}, run_name, step, metrics FROM metrics WHERE {condition} ORDER BY rowid"
    logged: dict[str, _Logged] = {}
    unread = 0
    for run, name, step, metrics in sqlite.rows(db, query, newest, notes=notes):
        row = _row(step, metrics)
        if row is None:
            unread += 1
        elif str(run) in logged or len(logged) < MAX_RUNS:
            logged.setdefault(str(run), _Logged(str(name))).rows.append(row)
    if unread:
        notes.append(f"Left out {unread} rows that are no JSON object, or too large.")
    return logged


def _row(step: Any, metrics: Any) -> Row | None:
    """Return the numbers that were logged at once, with their step; None for what is no object."""
    found = _object(metrics)
    if found is None:
        return None
    ends = not _END_OF_RUN.isdisjoint(found)
    row: Row = {}
    for name, value in list(found.items())[: 10 * MAX_KEYS]:
        if len(row) >= MAX_KEYS or (ends and "loss" in name):
            continue
        plain = number(value)
        if plain is not None:
            row[name] = plain
        elif isinstance(value, dict) and "_type" not in value:  # a table or a picture has one
            row[name] = value
    plain = number(step)
    if plain is not None:
        row.setdefault(_STEP, plain)
    return row


def _object(text: Any) -> Row | None:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str) or len(text) > MAX_JSON:
        return None
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Row", value) if isinstance(value, dict) else None


def _add_configs(
    db: sqlite3.Connection, columns: frozenset[str], logged: dict[str, _Logged], notes: list[str]
) -> None:
    mark = "run_id" if "run_id" in columns else "run_name"
    for run, config in sqlite.rows(db, f"SELECT {mark}, config FROM configs", notes=notes):
        if str(run) in logged:
            logged[str(run)].config = in_use(_object(config) or {})


def _runs(logged: dict[str, _Logged], source: Source) -> list[Run]:
    runs: list[Run] = []
    missing: NoSuchSeries | None = None
    for one in logged.values():
        try:
            found, _ = runs_in({"config": one.config, "history": one.rows}, source.wanted)
        except NoSuchSeries as error:  # another run may have it
            missing = missing or error
            continue
        for run in found:
            name = name_of((one.name,), run.source.run)
            runs.append(replace(run, source=replace(run.source, run=name)))
    if missing is not None and not runs:
        raise missing
    return runs


READER = Reader(
    name="trackio",
    description="runs tracked by Trackio: the database of a project",
    sniff=sniff,
    read=read,
)
