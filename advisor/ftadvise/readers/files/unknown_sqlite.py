"""Says what a SQLite database is that no other reader knows: its tables, or our own history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.files.sqlite import is_sqlite, tables
from ftadvise.readers.source import Reader, Source
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.run import Run

_OURS = 0x46544144  # "FTAD", the application id of our own history
_NAMES_SHOWN = 6


def sniff(source: Source) -> float:
    """Return 0.4 for a database, below the readers that know its tables."""
    return 0.4 if is_sqlite(source) else 0.0


def read(source: Source) -> list[Run]:
    """Say what a database is that no reader knows.

    Raises:
        LogError: FT405, always.
    """
    if int.from_bytes(source.head[68:72], "big") == _OURS:
        raise LogError(
            f"{source.label}: the history of ftadvise itself, not a log",
            code="FT405",
            hint="`ftadvise history` lists the runs in it.",
        )
    found = sorted(tables(source))
    shown = ", ".join(clean(name, 40) for name in found[:_NAMES_SHOWN])
    more = ", ..." if len(found) > _NAMES_SHOWN else ""
    what = f"{len(found)} tables ({shown}{more})" if found else "no tables"
    raise LogError(
        f"{source.label}: a SQLite database of {what}, none with the runs of a known tracker",
        code="FT405",
        hint="Those of MLflow and Trackio can be read; `ftadvise plugins` lists the formats.",
    )


READER = Reader(
    name="sqlite",
    description="says what a SQLite database is that no other reader knows",
    sniff=sniff,
    read=read,
)
