"""The tables of the history, and how an older file becomes one of today.

One run is one row: it is written by one statement, and whoever reads it wants the whole of it. Its
series are JSON text, `[[step, epoch, loss], ...]`, which the sqlite3 program takes apart with
`json_each`, and from which every float comes back to the last bit; a table of points would need
hundreds of rows for each run, and would lose the sign of a zero.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ftadvise.history.failures import HistoryError, damaged, not_a_history
from ftadvise.text import clean

APPLICATION = 0x46544144  # "FTAD", in the header of the file: whose it is

_FIRST = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content TEXT NOT NULL UNIQUE,   -- SHA-256 of the points
    start TEXT NOT NULL,            -- of the first point: which rows may be the same run, earlier
    added TEXT NOT NULL,            -- UTC
    updated TEXT NOT NULL,
    path TEXT, format TEXT, name TEXT,
    model TEXT, family TEXT, parameters INTEGER,
    data TEXT, examples INTEGER, tokens_per_epoch INTEGER,
    learning_rate REAL, schedule TEXT, batch_size INTEGER,
    method TEXT, lora_rank INTEGER,
    steps_per_epoch REAL, planned_epochs REAL, epochs REAL,
    best_eval_loss REAL, best_epoch REAL, last_eval_loss REAL,
    stopped TEXT,
    advised_epochs REAL, predicted_loss REAL, predicted_low REAL, predicted_high REAL,
    train TEXT NOT NULL,            -- [[step, epoch, loss], ...], null where unknown
    eval TEXT NOT NULL,
    rates TEXT NOT NULL,            -- [[step, epoch, rate], ...]
    rest TEXT NOT NULL              -- what else the log told
);
CREATE INDEX runs_start ON runs (start);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
"""What leads from each version to the next; never changed once released, only added to."""

_NEEDED = frozenset({"id", "content", "start", "train", "eval", "rates", "rest"})
_MOST_OBJECTS = 1000


def version(db: sqlite3.Connection) -> int:
    """Return the version of the schema; 0 for a new file."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def check(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is not ours, or is of tomorrow.

    Raises:
        HistoryError: FT421 or FT423.
    """
    mark = int(db.execute("PRAGMA application_id").fetchone()[0])
    used = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    found = version(db)
    if mark != APPLICATION and (mark or used or found):
        raise not_a_history(path, "an SQLite database of another program")
    if found > len(MIGRATIONS):
        raise HistoryError(
            f"{clean(path, 300)}: written by a newer ftadvise (version {found} of the schema; "
            f"this one knows {len(MIGRATIONS)})",
            code="FT423",
            hint="Upgrade ftadvise, or set FTADVISE_HISTORY to another file.",
        )


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema up to date, inside the transaction that is open."""
    for number, script in enumerate(MIGRATIONS[version(db) :], version(db) + 1):
        for statement in script.split(";\n"):
            if statement.strip():
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {number}")
    db.execute(f"PRAGMA application_id = {APPLICATION}")


def columns(db: sqlite3.Connection, path: Path) -> frozenset[str]:
    """Return the plain columns of the table of runs; empty for a new file.

    A view, a virtual table or a generated column would run what somebody else wrote, and is
    refused.

    Raises:
        HistoryError: FT422 when `runs` is no plain table.
    """
    found = db.execute(
        "SELECT type, rootpage, substr(sql, 1, 40) FROM sqlite_master WHERE name = 'runs'"
    ).fetchall()
    if not found and version(db) == 0:
        return frozenset()
    if len(found) != 1 or found[0][0] != "table" or not found[0][1]:
        raise damaged(path, "its runs are not in a plain table")
    rows = db.execute("PRAGMA table_xinfo(runs)").fetchmany(_MOST_OBJECTS)
    plain = frozenset(str(row[1]) for row in rows if row[6] == 0)
    if not plain >= _NEEDED:
        raise damaged(path, "its table of runs lacks columns")
    return plain


def refuse_triggers(db: sqlite3.Connection, path: Path) -> None:
    """Refuse to write where writing would set off something that we did not make.

    Raises:
        HistoryError: FT422.
    """
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' LIMIT 1").fetchone()
    if found:
        raise damaged(path, f"it has a trigger, which ftadvise never makes: {clean(found[0], 60)}")
