"""What can go wrong with the history file, said so that somebody can act on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ftadvise.errors import FtadviseError
from ftadvise.text import clean

BUSY = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"})
"""Somebody else is at the file, and it is worth waiting."""

_ASIDE = "Nothing was deleted: move the file aside, and a new history begins."
_ELSEWHERE = "Set FTADVISE_HISTORY to a file that can be written."


class HistoryError(FtadviseError):
    """The history cannot be read or written.

    Codes: FT421 a file that is no history, FT422 a damaged history, FT423 a history written by a
    newer ftadvise, FT424 a history that cannot be opened or written (rights, a read-only or full
    disk), FT425 a history that another has locked for too long, FT426 no such run, FT427 a run that
    cannot be remembered, FT428 the history is switched off.
    """

    default_code = "FT424"


def primary(error: sqlite3.Error) -> str:
    """Return the name of the primary result code, such as `SQLITE_BUSY` for `SQLITE_BUSY_RECOVERY`."""
    name = str(getattr(error, "sqlite_errorname", "") or "")
    return "_".join(name.split("_")[:2])


@contextmanager
def worded(path: Path) -> Generator[None]:
    """Turn whatever SQLite or the system says about the file at `path` into a `HistoryError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _of_sqlite(path, error) from error
    except UnicodeDecodeError:  # of a message that quotes a damaged name
        raise damaged(path, "its schema cannot be read") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise HistoryError(f"{clean(path, 300)}: {reason}", hint=_ELSEWHERE) from error


def _of_sqlite(path: Path, error: sqlite3.Error) -> HistoryError:
    where, name = clean(path, 300), primary(error)
    if name in BUSY:
        hint = "Try again when the other program is done with it."
        return HistoryError(f"{where}: locked by another program", code="FT425", hint=hint)
    if name == "SQLITE_NOTADB":
        return not_a_history(path, "not an SQLite database")
    if name == "SQLITE_FULL":
        hint = "Make room; what the history held before is still there."
        return HistoryError(f"{where}: the disk is full", hint=hint)
    if name == "SQLITE_READONLY":
        return HistoryError(f"{where}: can be read, not written", hint=_ELSEWHERE)
    if name in ("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"):
        return HistoryError(f"{where}: cannot be opened", hint=_ELSEWHERE)
    if name == "SQLITE_IOERR":
        detail = clean(getattr(error, "sqlite_errorname", ""), 60)
        message = f"{where}: the disk failed to read or write ({detail})"
        return HistoryError(message, hint="Look for room on the disk and for faults of it.")
    if name == "SQLITE_TOOBIG":
        return HistoryError(f"{where}: a run in it is too large to be read", code="FT427")
    return damaged(path, clean(error))


def damaged(path: Path, what: str) -> HistoryError:
    """Return the error of a file that was a history and has come to harm."""
    return HistoryError(f"{clean(path, 300)}: damaged: {what}", code="FT422", hint=_ASIDE)


def not_a_history(path: Path, what: str) -> HistoryError:
    """Return the error of a file that belongs to something else."""
    hint = "Set FTADVISE_HISTORY to another file, or move this one aside; it was not touched."
    return HistoryError(f"{clean(path, 300)}: {what}", code="FT421", hint=hint)
