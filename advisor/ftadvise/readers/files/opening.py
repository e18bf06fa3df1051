"""The beginning of a regular file, looked at without ever waiting for it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ftadvise.errors import LogError

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 64 * 1024
_BINARY: int = getattr(os, "O_BINARY", 0)


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text that begins with `head`."""
    if head[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    # Without a mark: plain text has a zero in every second byte, and in no other.
    even, odd = head[:64:2], head[1:64:2]
    if len(odd) > 1 and not odd.strip(b"\0") and b"\0" not in even:
        return "utf-16-le"
    if len(odd) > 1 and not even.strip(b"\0") and b"\0" not in odd:
        return "utf-16-be"
    return "utf-8-sig"


def size_and_head(path: Path, label: str) -> tuple[int, bytes]:
    """Return the size of a regular file and its first 64 KiB.

    Raises:
        LogError: FT401 (missing, or may not be read) or FT408 (not a regular file).
    """
    try:
        _refuse_what_is_no_file(path.stat(), path, label)
        # What is a pipe by now, in the place of the file, is not waited for either.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _refuse_what_is_no_file(status, path, label)
            return status.st_size, file.read(HEAD_BYTES) or b""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise LogError(f"{label}: {reason}", code="FT401") from None


def _refuse_what_is_no_file(status: os.stat_result, path: Path, label: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    kind = kinds.get(stat.S_IFMT(status.st_mode), "something else")
    hint = "Give the log file itself, or the folder that holds it."
    if kind in ("a pipe", "a device", "a socket"):
        hint = "Give - to read from the standard input."
    raise LogError(f"{label}: {kind}, not a regular file", code="FT408", hint=hint)


def too_large(label: str, size: int, limit: int) -> LogError:
    """Return the error for a file of `size` bytes where `limit` is the most."""
    return LogError(
        f"{label}: {size / 2**20:.0f} MiB, over the limit of {limit // 2**20} MiB",
        code="FT407",
        hint="Give the part of the log that holds the loss, or a log with fewer rows.",
    )
