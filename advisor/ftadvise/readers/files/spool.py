"""Private temporary files for logs that are no plain files: standard input, compressed logs."""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.files import expanding
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

MAX_SPOOLED = 2 * 1024**3
MAX_RATIO = 200
_ANY_RATIO = 1024 * 1024  # bytes to which even the smallest file may expand
_PIECE = 1024 * 1024


class TemporaryLog:
    """A file in a folder of its own that goes when nothing refers to it, or the process ends.

    Attributes:
        path: Where it lies; no one else may read it.
        notes: What has to be known of it, one sentence each.
    """

    def __init__(self, name: str = "log") -> None:
        """Make the folder, empty.

        Raises:
            OSError: There is no place for temporary files.
        """
        import shutil
        import tempfile

        folder = tempfile.mkdtemp(prefix="ftadvise-")
        self.path = Path(folder, name)
        self.notes: tuple[str, ...] = ()
        self.remove = weakref.finalize(self, _remove, shutil.rmtree, folder, os.getpid())


def _remove(rmtree: Callable[..., None], folder: str, owner: int) -> None:
    if os.getpid() == owner:  # and not in a process that was forked while it was there
        rmtree(folder, ignore_errors=True)


def standard_input(label: str) -> TemporaryLog:
    """Return a file with all that comes from the standard input.

    Raises:
        LogError: FT401 (there is none), FT407 (too much) or FT408 (a terminal).
    """
    stream = sys.stdin
    if stream is None or stream.closed:  # pyright: ignore[reportUnnecessaryComparison]
        raise LogError(f"{label}: there is no standard input", code="FT401")
    if stream.isatty():
        raise LogError(
            f"{label}: standard input is a terminal",
            code="FT408",
            hint="Pipe a log into it, or give the path of a log instead of -.",
        )
    return spooled(_received(stream.buffer, label), label, MAX_SPOOLED, "more than")


def expanded(path: Path, compression: str, label: str) -> TemporaryLog:
    """Return a file with what the compressed file at `path` expands to.

    A file that is cut off is expanded as far as it goes, and a note says so.

    Raises:
        LogError: FT401 (cannot be read), FT404 (damaged, or nothing installed that reads it) or
            FT407 (expands to more than the limits).
    """
    try:
        limit = min(MAX_SPOOLED, max(_ANY_RATIO, MAX_RATIO * path.stat().st_size))
        with path.open("rb") as file:
            found = _expansion(file, compression, label)
            made = spooled(found, label, limit, "expands to more than")
            if made.notes and not made.path.stat().st_size:
                made.remove()
                raise LogError(
                    f"{label}: cut off before anything in it can be expanded",
                    hint="Copy it again, or give another log of the run.",
                )
            return made
    except OSError as error:
        raise LogError(f"{label}: {error.strerror}", code="FT401") from None


def _received(stream: BinaryIO, label: str) -> Iterator[bytes]:
    try:
        while data := stream.read(_PIECE):
            yield data
    except (OSError, ValueError) as error:
        reason = f"standard input cannot be read: {clean(error)}"
        raise LogError(f"{label}: {reason}", code="FT401") from None


def _expansion(file: BinaryIO, compression: str, label: str) -> Iterator[bytes]:
    try:
        yield from expanding.pieces(file, compression)
    except (EOFError, MemoryError):
        raise
    except expanding.MissingPackageError:
        raise LogError(
            f"{label}: compressed with {compression}, and no package for that is installed",
            hint="Install ftadvise[zstd], or expand the file first: zstd -d FILE",
        ) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # the disk, not what is on it
            raise
        raise LogError(  # each compression has an error class of its own
            f"{label}: damaged, cannot be expanded: {clean(error)}",
            hint="Copy it again, or give another log of the run.",
        ) from None


def spooled(source: Iterable[bytes], label: str, limit: int, over: str) -> TemporaryLog:
    """Return a file with the bytes of `source`, of which there may be `limit`."""
    try:
        made = TemporaryLog()
    except OSError as error:
        raise _no_room(label, error) from None
    try:
        size = 0
        with made.path.open("xb") as file:
            for piece in source:
                size += len(piece)
                if size > limit:
                    raise LogError(
                        f"{label}: {over} {limit / 2**20:.0f} MiB, which is the limit",
                        code="FT407",
                        hint="Give the log itself, as a plain file.",
                    )
                _write(file, piece, label)
    except EOFError:
        made.notes = ("The compressed file is cut off; read up to there.",)
    except BaseException:
        made.remove()
        raise
    return made


def _write(file: BinaryIO, piece: bytes, label: str) -> None:
    try:
        file.write(piece)
        file.flush()  # a full disk is said here, not when the file is closed
    except OSError as error:
        raise _no_room(label, error) from None


def _no_room(label: str, error: OSError) -> LogError:
    import tempfile

    return LogError(
        f"{label}: no room for a temporary copy: {error.strerror}",
        code="FT407",
        hint=f"Set TMPDIR to a folder with room; it is {tempfile.gettempdir()} now.",
    )
