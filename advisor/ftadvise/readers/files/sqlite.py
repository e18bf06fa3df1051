"""Opens the SQLite database of a tracker without trusting a byte of it.

A database is a program as much as a file: it may hold views that never end, triggers, tables made
by code, and columns whose values are computed. Only ordinary tables and stored columns are read,
nothing is written, not even beside the file, and every query has an end. Readers of the layouts
of single trackers are plugins; `unknown_sqlite` says what any other database is.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from ftadvise.errors import LogError
from ftadvise.text import clean

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterator, Sequence

    from ftadvise.readers.source import Source

Tables = dict[str, frozenset[str]]
"""The stored columns of each ordinary table."""

MAX_ROWS = 1_000_000  # of one query
MAX_TABLES = 500
MAX_SECONDS = 30.0  # for all that is read while the database is open
MAX_VALUE = 64 * 1024 * 1024  # bytes in one value
PATIENCE = 2.0  # seconds to wait for a program that holds the lock

_MAGIC = b"SQLite format 3\x00"
_OPCODES = 20_000  # between two looks at the clock: some milliseconds


def is_sqlite(source: Source) -> bool:
    """Return whether the file begins like an SQLite database."""
    return source.head.startswith(_MAGIC)


def tables(source: Source) -> Tables:
    """Return the ordinary tables in a database; views and virtual tables are left out.

    Raises:
        LogError: FT404 damaged or locked, FT407 over a limit.
    """

    def look() -> Tables:
        with opened(source) as db:
            # A virtual table has no page of its own.
            names: list[Any] = [
                row[0]
                for row in db.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 LIMIT ?",
                    (MAX_TABLES,),
                )
            ]
            return {name: _columns(db, name) for name in names if isinstance(name, str)}

    return source.remember("tables of the database", look)


def _columns(db: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the columns that are stored; one that is computed may take any time and size."""
    found = db.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (table,))
    return frozenset(str(row[0]) for row in found)


@contextmanager
def opened(source: Source) -> Generator[sqlite3.Connection]:
    """Open a database for reading, within limits of time and size.

    Raises:
        LogError: FT404 damaged or locked, FT407 over a limit, whenever it shows in the block.
    """
    import sqlite3

    try:
        with closing(sqlite3.connect(_address(source), uri=True, timeout=PATIENCE)) as db:
            db.text_factory = _text
            for limit, value in (
                (sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE),
                (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
                (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
            ):
                db.setlimit(limit, value)
            deadline = time.monotonic() + MAX_SECONDS
            db.set_progress_handler(lambda: time.monotonic() > deadline, _OPCODES)
            # Nothing in the file may call a function; a file that shrinks must not kill us.
            for pragma in ("trusted_schema = OFF", "query_only = ON", "mmap_size = 0"):
                db.execute(f"PRAGMA {pragma}")
            yield db
    except sqlite3.Error as error:
        raise _worded(source, error) from None
    except UnicodeDecodeError:  # in a message that quotes a damaged name
        raise _damaged(source, "its schema cannot be read") from None
    except MemoryError:  # which SQLite calls a page that claims more than there is
        raise _damaged(source, "it asks for more memory than there is") from None


def rows(
    db: sqlite3.Connection, query: str, parameters: Sequence[Any] = (), *, notes: list[str]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query as far as they can be read.

    Where the database is damaged, or has more rows than anyone trains steps, what came before
    stays good; `notes` gets a sentence that says so.
    """
    import sqlite3

    count = 0
    try:
        for row in db.execute(query, parameters):
            if count >= MAX_ROWS:
                notes.append(f"More than {MAX_ROWS} rows: the first ones were read.")
                return
            count += 1
            yield row
    except sqlite3.DatabaseError as error:
        if not count or _name(error) not in ("SQLITE_CORRUPT", "SQLITE_TOOBIG"):
            raise
        why = "is damaged" if _name(error) == "SQLITE_CORRUPT" else "has values too large"
        notes.append(f"The database {why}: only its first {count} rows could be read.")


def newest(
    db: sqlite3.Connection,
    table: str,
    mark: str,
    condition: str = "TRUE",
    parameters: Sequence[Any] = (),
    *,
    notes: list[str],
) -> list[Any]:
    """Return the runs that were begun last, as many as fit into `MAX_ROWS`; empty for all.

    Args:
        db: The database.
        table: A table with the rows of many runs, the newest last.
        mark: Its column that says of which run a row is.
        condition: Which of its rows count.
        parameters: The values in the condition.
        notes: Gets a sentence where runs are left out.
    """
    last = db.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0]
    if not isinstance(last, int) or last <= MAX_ROWS:
        return []
    query = f"SELECT {mark}, count(*) FROM {table} WHERE {condition} GROUP BY {mark}"
    runs = list(rows(db, f"{query} ORDER BY min(rowid) DESC", parameters, notes=notes))
    kept: list[Any] = []
    size = 0
    for run, count in runs:
        size += count
        if kept and (size > MAX_ROWS or len(kept) >= MAX_TABLES):
            break
        kept.append(run)
    if len(kept) < len(runs):
        notes.append(f"The {len(kept)} newest of {len(runs)} runs were read: it holds too many.")
    return kept


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _address(source: Source) -> str:
    """Return the address that reads the file and leaves its folder as it is.

    With a write-ahead log beside it, or in the older mode, the locks are taken, so that a tracker
    may be writing. A lone file in write-ahead mode cannot be opened that way without making files
    beside it. What is no regular file beside it (a pipe would never answer) is not looked at.
    """
    path = source.path.resolve()
    beside = [_kind(f"{path}-{part}") for part in ("wal", "journal", "shm")]
    write_ahead = 2 in source.head[18:20]  # the versions of the format for writing and reading
    strange = "other" in beside
    alone = write_ahead and beside[0] != "file"
    return f"{path.as_uri()}?{'immutable=1' if strange or alone else 'mode=ro'}"


def _kind(path: str) -> str:
    try:
        return "file" if stat.S_ISREG(os.lstat(path).st_mode) else "other"
    except (OSError, ValueError):
        return ""


def _name(error: sqlite3.Error) -> str:
    """Return the primary result code, such as `SQLITE_BUSY` for `SQLITE_BUSY_RECOVERY`."""
    name = str(getattr(error, "sqlite_errorname", "") or "")
    return "_".join(name.split("_")[:2])


def _worded(source: Source, error: sqlite3.Error) -> LogError:
    name = _name(error)
    if name in ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"):
        return LogError(
            f"{source.label}: a SQLite database that another program is writing",
            hint="Try again when it is done, or give a copy.",
        )
    if name == "SQLITE_INTERRUPT":
        message = f"a SQLite database that takes more than {MAX_SECONDS:.0f} seconds to read"
        return LogError(f"{source.label}: {message}", code="FT407")
    if name in ("SQLITE_READONLY", "SQLITE_CANTOPEN"):
        return LogError(
            f"{source.label}: a SQLite database that cannot be opened without writing to it",
            hint="Its last writer may have been cut off: open it once with the tool that wrote it.",
        )
    if name == "SQLITE_TOOBIG":
        return LogError(f"{source.label}: a SQLite database with values too large", code="FT407")
    return _damaged(source, clean(error))


def _damaged(source: Source, what: str) -> LogError:
    return LogError(
        f"{source.label}: a damaged SQLite database: {what}",
        hint="If it was copied while a tracker was writing, copy it again when it is done.",
    )
