"""Adds runs to the history, finds them again and forgets them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ftadvise.history import entries, schema
from ftadvise.history.entries import Entry, Prediction
from ftadvise.history.facts import Facts
from ftadvise.history.failures import HistoryError, damaged
from ftadvise.history.file import PATIENCE, reading, writing
from ftadvise.history.place import default_path
from ftadvise.history.points import (
    begins_with,
    from_text,
)
from ftadvise.history.rest import run_from
from ftadvise.history.rows import described, foretold, row_of
from ftadvise.run import Run
from ftadvise.text import clean

MOST_ROWS = 100_000
_SERIES = ("train", "eval", "rates")
_SAME_START = 50  # rows looked at, of those that begin with the same point
_STORED = f"{', '.join(_SERIES)}, rest"

PathLike = str | os.PathLike[str]


def add(
    run: Run,
    facts: Facts | None = None,
    prediction: Prediction | None = None,
    *,
    path: PathLike | None = None,
    patience: float = PATIENCE,
) -> int:
    """Remember a run, on the disk when this returns.

    A run that is there already is brought up to date, also where it has grown since (the log of a
    run in progress); an earlier state of one that is there adds nothing but facts.

    Args:
        run: The run, from `ftadvise.read`.
        facts: What is known besides its curves, as from `facts_near`.
        prediction: What had been foretold of it.
        path: The history; the default one when None.
        patience: Seconds to wait while others write.

    Returns:
        The id of its row.

    Raises:
        HistoryError: FT421 to FT425, FT427 for a run without a loss or beyond all bounds, FT428.
    """
    row = row_of(run)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with writing(place_of(path), patience) as db:
        own, keep = _same(db, run, row)
        if keep:  # what is there says more
            row = {}
        known = _entry(db, own) if own is not None else None
        row |= described(run, facts or Facts(), known.facts if known else Facts())
        row |= foretold(prediction) if prediction else {}
        row["updated"] = now
        if own is None:
            row["added"] = now
            marks = ", ".join("?" * len(row))
            names = ", ".join(row)
            db.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", [*row.values()])
            return int(db.execute("SELECT last_insert_rowid()").fetchone()[0])
        pairs = ", ".join(f"{name} = ?" for name in row)
        db.execute(f"UPDATE runs SET {pairs} WHERE id = ?", [*row.values(), own])
        return own


def runs(
    *, limit: int = MOST_ROWS, path: PathLike | None = None, patience: float = PATIENCE
) -> tuple[Entry, ...]:
    """Return what is in the history, the newest first, without the curves.

    Raises:
        HistoryError: FT421 to FT425, FT428.
    """
    with table(path, patience) as (db, names):
        return () if db is None else tuple(entries_of(db, names, limit))


def entries_of(
    db: sqlite3.Connection, names: frozenset[str], limit: int = MOST_ROWS
) -> list[Entry]:
    """Return the rows of an open history, the newest first."""
    query = f"SELECT {entries.selected(names)} FROM runs ORDER BY id DESC LIMIT ?"
    return entries.entries_in(db.execute(query, [max(0, min(limit, MOST_ROWS))]))


def entry(own: int, *, path: PathLike | None = None, patience: float = PATIENCE) -> Entry:
    """Return one row, without the curves.

    Raises:
        HistoryError: FT421 to FT425, FT426 when there is no such row, FT428.
    """
    with table(path, patience) as (db, _):
        found = _entry(db, own) if db is not None else None
    if found is None:
        raise _unknown(own)
    return found


def load(own: int, *, path: PathLike | None = None, patience: float = PATIENCE) -> Run:
    """Return a run as it was when it was added, to the last bit.

    Raises:
        HistoryError: FT421 to FT425 (FT422 also for one damaged row), FT426, FT428.
    """
    where = place_of(path)
    with table(path, patience) as (db, _):
        row = _stored(db, own) if db is not None else None
    if row is None:
        raise _unknown(own)
    try:
        return _run_of(row)
    except ValueError as error:
        raise damaged(where, f"run {own}: {clean(error)}") from None


def loaded(db: sqlite3.Connection, own: int) -> Run | None:
    """Return a run by its id from an open history; None when the row is damaged or gone."""
    try:
        row = _stored(db, own)
        return _run_of(row) if row is not None else None
    except (ValueError, sqlite3.DataError):
        return None


def forget(own: int, *, path: PathLike | None = None, patience: float = PATIENCE) -> None:
    """Take a run out of the history; its content is overwritten.

    Raises:
        HistoryError: FT421 to FT425, FT426 when there is no such row, FT428.
    """
    where = place_of(path)
    entry(own, path=where, patience=patience)  # makes no file only to find nothing in it
    with writing(where, patience) as db:
        db.execute("DELETE FROM runs WHERE id = ?", [own])


def place_of(path: PathLike | None) -> Path:
    """Return the history that is meant: the default one when None."""
    return default_path() if path is None else Path(path)


@contextmanager
def table(
    path: PathLike | None, patience: float
) -> Generator[tuple[sqlite3.Connection | None, frozenset[str]]]:
    """Open the history for reading, with the columns it has; None when there is nothing in it."""
    where = place_of(path)
    with reading(where, patience) as db:
        names = schema.columns(db, where) if db is not None else frozenset[str]()
        yield (db if names else None), names


def _unknown(own: int) -> HistoryError:
    hint = "`ftadvise history list` shows the ids."
    return HistoryError(f"no run {own} in the history", code="FT426", hint=hint)


def _entry(db: sqlite3.Connection, own: int) -> Entry | None:
    names = [str(row[1]) for row in db.execute("PRAGMA table_info(runs)").fetchall()]
    query = f"SELECT {entries.selected(names)} FROM runs WHERE id = ?"
    return next(iter(entries.entries_in(db.execute(query, [own]))), None)


def _stored(db: sqlite3.Connection, own: int) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = db.execute(
        f"SELECT {_STORED} FROM runs WHERE id = ?", [own]
    ).fetchone()
    return row


def _run_of(row: tuple[Any, ...]) -> Run:
    points = {name: from_text(text) for name, text in zip(_SERIES, row, strict=False)}
    return run_from(row[-1], points)


def _same(db: sqlite3.Connection, run: Run, row: dict[str, Any]) -> tuple[int | None, bool]:
    """Return the row of the same run, and whether that one says more than `run`."""
    query = "SELECT id FROM runs WHERE content = ?"
    found = db.execute(query, [row["content"]]).fetchone()
    if found:
        return found[0], False
    query = f"SELECT id FROM runs WHERE start = ? ORDER BY id DESC LIMIT {_SAME_START}"
    for (own,) in db.execute(query, [row["start"]]).fetchall():
        other = loaded(db, own)
        if other is not None and begins_with(run, other):
            return own, False
        if other is not None and begins_with(other, run):
            return own, True
    return None, False
