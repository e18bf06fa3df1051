"""What goes to stdout or a file, and how wide and in which characters it may be."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftadvise.errors import FtadviseError

if TYPE_CHECKING:
    from typing import TextIO

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
    out: TextIO | None = sys.stdout  # None where the program was started without one
    terminal = not to_file and out is not None and out.isatty()
    if width is None:
        width = shutil.get_terminal_size().columns if terminal else WIDTH_WITHOUT_TERMINAL
        width = max(NARROWEST, min(width, WIDEST))
    if not to_file and out is not None:
        ascii_only = ascii_only or not _has_unicode(out.encoding)
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

    Raises:
        FtadviseError: The file or stdout cannot be written, or there is no stdout.
    """
    if path is not None and path != "-":
        try:
            Path(path).write_text(text + "\n", encoding="utf-8", errors="replace")
        except OSError as error:
            raise FtadviseError(f"cannot write {path}: {error.strerror}") from None
        return
    out: TextIO | None = sys.stdout
    if out is None:
        raise FtadviseError("cannot write: there is no standard output")
    encoding = out.encoding or "utf-8"
    try:
        out.write((text + "\n").encode(encoding, "replace").decode(encoding))
        out.flush()
    except BrokenPipeError:
        _drop(out)
        raise click.exceptions.Exit(BROKEN_PIPE) from None
    except OSError as error:
        _drop(out)
        raise FtadviseError(f"cannot write to standard output: {error.strerror}") from None


def _drop(out: TextIO) -> None:
    """Let what is still buffered go, so that it is not tried again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
