"""Databases and folders as MLflow and Trackio write them, made by hand."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

MLFLOW = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name VARCHAR(256));
CREATE TABLE runs (run_uuid VARCHAR(32) PRIMARY KEY, name VARCHAR(250), experiment_id INTEGER,
                   lifecycle_stage VARCHAR(20));
CREATE TABLE params (key VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32));
CREATE TABLE metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32),
                      step BIGINT, is_nan BOOLEAN,
                      PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
CREATE TABLE latest_metrics (key VARCHAR(250), value FLOAT, run_uuid VARCHAR(32));
"""
TRACKIO = """
CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL,
                      timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL,
                      metrics TEXT NOT NULL);
CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE,
                      run_name TEXT NOT NULL, config TEXT NOT NULL, created_at TEXT NOT NULL);
"""
START = 1_700_000_000_000  # milliseconds

Point = tuple[str, int, float]
"""Key, step and value, in the order in which they are logged."""


def run_script(path: Path, script: str) -> Path:
    """Run SQL on the database at `path`, which is made where there is none."""
    with closing(_connection(path)) as db:
        db.executescript(script)
    return path


def _connection(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")  # nobody waits for a disk here
    return db


def insert(path: Path, table: str, rows: Iterable[Sequence[Any]]) -> Path:
    """Add rows to a table, all columns given."""
    with closing(_connection(path)) as db, db:
        for row in rows:
            marks = ", ".join("?" for _ in row)
            db.execute(f"INSERT INTO {table} VALUES ({marks})", tuple(row))
    return path


def mlflow_database(
    path: Path, runs: Mapping[str, Sequence[Point]], params: Mapping[str, str] | None = None
) -> Path:
    """Make an MLflow database; NaN and infinities are written as MLflow writes them."""
    run_script(path, MLFLOW)
    insert(path, "experiments", [(1, "Default")])
    insert(path, "runs", [(f"id-{name}", name, 1, "active") for name in runs])
    for name, points in runs.items():
        rows: list[tuple[Any, ...]] = []
        for place, (key, step, value) in enumerate(points):
            plain = min(max(value, -1.7976931348623157e308), 1.7976931348623157e308)
            is_nan = value != value  # noqa: PLR0124 - the definition of NaN
            time = START + place
            rows.append((key, 0.0 if is_nan else plain, time, f"id-{name}", step, int(is_nan)))
        insert(path, "metrics", rows)
        insert(path, "params", [(k, v, f"id-{name}") for k, v in (params or {}).items()])
    return path


def mlflow_folder(
    folder: Path, points: Sequence[Point], params: Mapping[str, str] | None = None, name: str = ""
) -> Path:
    """Make the folder of a run in MLflow's file store."""
    for place, (key, step, value) in enumerate(points):
        file = folder / "metrics" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"{START + place} {value} {step}\n")
    for key, text in (params or {}).items():
        (folder / "params").mkdir(parents=True, exist_ok=True)
        (folder / "params" / key).write_text(text, encoding="utf-8")
    meta = f"artifact_uri: file:///a\nlifecycle_stage: active\nrun_id: 0af3\nrun_name: {name}\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.yaml").write_text(meta, encoding="utf-8")
    return folder


def trackio_database(
    path: Path,
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    configs: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Make the database of a Trackio project; a row is what one call of `log` was given."""
    run_script(path, TRACKIO)
    stamp = "2025-01-01T00:00:00+00:00"
    for name, rows in runs.items():
        logged = [
            (None, f"id-{name}", stamp, name, step, json.dumps(row))
            for step, row in enumerate(rows)
        ]
        insert(path, "metrics", logged)
    for name, config in (configs or {}).items():
        insert(path, "configs", [(None, f"id-{name}", name, json.dumps(config), stamp)])
    return path
