"""What goes to stdout or a file, and how wide and in which characters it may be."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from ftadvise.errors import FtadviseError

WIDTH_WITHOUT_TERMINAL = 80
NARROWEST, WIDEST = 40, 100
BROKEN_PIPE = 141  # what a shell says of a command that lost its reader


@dataclass(frozen=True)
class Look:
    """How text should look where it goes.

    Attributes:
        width: Columns of a line.
        ascii: Whether only ASCII may be used.
        colour: Whether it may have colours.
    """

    width: int
    ascii: bool
    colour: bool


def look(width: int | None, ascii_only: bool, to_file: bool) -> Look:
    """Return how text should look on stdout, or in a file.

    Args:
        width: Columns that were asked for; those of the terminal when None.
        ascii_only: Whether ASCII was asked for.
        to_file: Whether the text goes to a file of its own.
    """
    terminal = not to_file and sys.stdout.isatty()
    if width is None:
        width = shutil.get_terminal_size().columns if terminal else WIDTH_WITHOUT_TERMINAL
        width = max(NARROWEST, min(width, WIDEST))
    if not to_file:
        ascii_only = ascii_only or not _has_unicode(sys.stdout.encoding)
    return Look(width, ascii_only, not to_file and _wants_colour(terminal))


def _wants_colour(terminal: bool) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "") not in ("", "0"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def _has_unicode(encoding: str | None) -> bool:
    try:
        "⠿•─".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def write(text: str, path: str | None = None) -> None:
    """Write `text` and a line end to stdout, or replace the file at `path`.

    A reader of the pipe that has gone away ends the program without a message.
    """
    if path is not None and path != "-":
        try:
            Path(path).write_text(text + "\n", encoding="utf-8", errors="replace")
        except OSError as error:
            raise FtadviseError(f"cannot write {path}: {error.strerror}") from None
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write((text + "\n").encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered must not be tried again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(BROKEN_PIPE) from None
