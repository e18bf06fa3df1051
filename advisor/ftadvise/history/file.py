"""Opens the history: for reading wherever it lies, for writing one at a time.

A connection lives for one call. Writing takes the lock before it looks at anything (BEGIN
IMMEDIATE), waits for others, and is in the file for good when the call returns (synchronous=FULL):
a process that is killed leaves all of its run there or nothing of it.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from ftadvise.history import schema
from ftadvise.history.failures import BUSY, not_a_history, primary, worded
from ftadvise.history.place import on_network

PATIENCE = 20.0
"""Seconds to wait for others who write."""

LARGEST_VALUE = 64 * 1024 * 1024  # bytes of one row, which holds the series of one run


@contextmanager
def reading(path: Path, patience: float = PATIENCE) -> Generator[sqlite3.Connection | None]:
    """Open the history for reading; None when there is none yet. Creates and changes nothing.

    Raises:
        HistoryError: FT421 to FT425.
    """
    with worded(path):
        if not _is_there(path):
            yield None
            return
        with _readable(path, patience) as db:
            schema.check(db, path)
            yield db


@contextmanager
def writing(path: Path, patience: float = PATIENCE) -> Generator[sqlite3.Connection]:
    """Open the history for writing, made or brought up to date where needed, in one transaction.

    What was done is kept when the block ends, and undone when it raises.

    Raises:
        HistoryError: FT421 to FT425.
    """
    with worded(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _is_there(path)
        with closing(_begun(path, patience)) as db:
            schema.check(db, path)
            schema.refuse_triggers(db, path)
            schema.migrate(db)
            schema.columns(db, path)
            yield db
            db.execute("COMMIT")


def _is_there(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise not_a_history(path, "not a regular file")
    return True


def _connect(path: Path, mode: str, patience: float) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{mode}"
    db = sqlite3.connect(address, uri=True, timeout=patience, isolation_level=None)
    # Nothing in the file may call anything but what it is made of, nor make us hold too much.
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
    db.text_factory = _text
    return db


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _begun(path: Path, patience: float) -> sqlite3.Connection:
    """Return a connection that holds the lock for writing."""
    deadline = time.monotonic() + patience
    while True:
        db = _connect(path, "mode=rwc", max(0.0, deadline - time.monotonic()))
        try:
            # Before the journal, so that the file of another is not touched; and in one look, for
            # the next moment it may be ours.
            db.execute("BEGIN")
            schema.check(db, path)
            db.execute("COMMIT")
            _set_journal(db, path)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")  # forgotten is forgotten
            db.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            db.close()
            # Where the journal changes hands SQLite gives up at once, without its own waiting.
            patient = isinstance(error, sqlite3.Error) and primary(error) in BUSY
            if not patient or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.005, 0.05))
        else:
            return db


def _set_journal(db: sqlite3.Connection, path: Path) -> None:
    wanted = "delete" if on_network(path) else "wal"
    if str(db.execute("PRAGMA journal_mode").fetchone()[0]) != wanted:
        # A file system without shared memory keeps its old journal, and that is as safe.
        db.execute(f"PRAGMA journal_mode = {wanted}").fetchone()


@contextmanager
def _readable(path: Path, patience: float) -> Generator[sqlite3.Connection]:
    """Open for reading; on a disk that cannot be written without the locks that need writing."""
    try:
        # As a writer that writes nothing: it can undo what a killed one left half done.
        db = _opened(path, "mode=rw", patience)
    except sqlite3.Error as error:
        if not _for_want_of_writing(error):
            raise
        db = None
    if db is not None:
        with closing(db):
            yield db
        return
    beside = [name for name in _beside(path) if _has_bytes(path.with_name(name))]
    if not beside:
        with closing(_opened(path, "mode=ro&immutable=1", patience)) as db:
            yield db
        return
    # Its last writer was killed: what stands in the log beside it only a copy can be joined with.
    with tempfile.TemporaryDirectory(prefix="ftadvise-") as folder:
        for name in (path.name, *beside):
            shutil.copyfile(path.with_name(name), Path(folder) / name)
        with closing(_opened(Path(folder) / path.name, "mode=rw", patience)) as db:
            yield db


def _for_want_of_writing(error: sqlite3.Error) -> bool:
    """Say whether reading failed because the memory that readers share could not be made."""
    name = str(getattr(error, "sqlite_errorname", ""))
    unwritable = primary(error) in ("SQLITE_CANTOPEN", "SQLITE_READONLY")
    return unwritable or name.startswith("SQLITE_IOERR_SHM")  # the latter on a full disk


def _opened(path: Path, mode: str, patience: float) -> sqlite3.Connection:
    db = _connect(path, mode, patience)
    try:
        db.execute("PRAGMA query_only = ON")
        db.execute("BEGIN")  # all that is read is of one moment
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the first that can fail
    except BaseException:
        db.close()
        raise
    return db


def _beside(path: Path) -> tuple[str, str]:
    return f"{path.name}-wal", f"{path.name}-journal"


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
