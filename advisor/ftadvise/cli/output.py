"""What goes to stdout or a file, and how wide and in which characters it may be."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftadvise.errors import FtadviseError, UsageError
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable
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


def write(text: str, path: str | None = None, *, utf8: bool = False) -> None:
    """Write `text` and a line end to stdout, or replace the file at `path`.

    A reader of the pipe that has gone away ends the program without a message.

    Args:
        text: What to write.
        path: The file, in UTF-8; None or `-` for stdout.
        utf8: Write UTF-8 to stdout too, unless it is a terminal: for documents that say so of
            themselves, and for programs that take nothing else.

    Raises:
        FtadviseError: The file or stdout cannot be written, or there is no stdout.
    """
    if path is not None and path != "-":
        try:
            _replace(Path(path), (text + "\n").encode("utf-8", "replace"))
        except OSError as error:
            raise _cannot_write(path, error.strerror) from None
        return
    out: TextIO | None = sys.stdout
    if out is None:
        raise FtadviseError("cannot write: there is no standard output")
    encoding = out.encoding or "utf-8"
    try:
        if utf8 and hasattr(out, "buffer") and not out.isatty():
            out.flush()
            out.buffer.write((text + "\n").encode("utf-8", "replace"))
        else:
            out.write((text + "\n").encode(encoding, "replace").decode(encoding))
        out.flush()
    except BrokenPipeError:
        _drop(out)
        raise click.exceptions.Exit(BROKEN_PIPE) from None
    except OSError as error:
        _drop(out)
        raise FtadviseError(f"cannot write to standard output: {error.strerror}") from None


def verify(path: str | None, logs: Iterable[str]) -> None:
    """Refuse, before the work is done, a file that cannot be written or that is one of the logs.

    Raises:
        FtadviseError: There is no such folder, or it is a folder.
        UsageError: FT411, it is a log.
    """
    if path is None or path == "-":
        return
    if not path or Path(path).is_dir():
        raise _cannot_write(path, os.strerror(errno.EISDIR))
    if not Path(path).parent.is_dir():
        raise _cannot_write(path, os.strerror(errno.ENOENT))
    for log in logs:
        with contextlib.suppress(OSError, ValueError):
            if Path(path).is_file() and Path(path).samefile(log):
                raise UsageError(
                    f"--output names one of the logs, {clean(path, 300)}, and would replace it",
                    hint="Give it another name.",
                )


def _cannot_write(path: str, why: str | None) -> FtadviseError:
    return FtadviseError(f"cannot write {clean(path, 300) or repr(path)}: {why}")


def _replace(path: Path, content: bytes) -> None:
    """Put `content` into a file: where that fails, as on a full disk, it stays as it was.

    What is no regular file, such as a pipe, and a file in a folder where no other can be made are
    written in place. A link stays one.
    """
    real = Path(os.path.realpath(path))
    beside = real.with_name(f".ftadvise-{os.getpid()}.tmp")
    try:
        if real.exists() and (not real.is_file() or real.stat().st_nlink > 1):
            raise FileExistsError
        handle = beside.open("xb")
    except OSError:
        path.write_bytes(content)
        return
    try:
        with handle:
            handle.write(content)
        if real.exists():
            shutil.copymode(real, beside)
        beside.replace(real)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _drop(out: TextIO) -> None:
    """Let what is still buffered go, so that it is not tried again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
