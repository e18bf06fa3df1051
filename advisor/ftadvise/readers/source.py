"""A log on disk before it is understood, and the data type of a reader.

A `Source` is opened once, within limits, and shared by all readers that look at it.
"""

from __future__ import annotations

import functools
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ftadvise.errors import LogError
from ftadvise.readers.wanted import ANY, Wanted
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ftadvise.run import Run

T = TypeVar("T")

MAX_BYTES = 512 * 1024 * 1024
HEAD_BYTES = 64 * 1024


class Source:
    """One regular file with a log in it, or the files of one log that is spread over several.

    Attributes:
        path: Where it lies; of several files the first.
        files: All files of the log, in its order.
        label: The path as the caller gave it, for messages.
        wanted: The series that were asked for by name.
    """

    def __init__(
        self,
        path: Path,
        label: str | None = None,
        wanted: Wanted = ANY,
        files: Sequence[Path] = (),
    ) -> None:
        """Check that `path` is a readable regular file of reasonable size.

        Raises:
            LogError: FT401 (missing), FT402 (empty), FT403 (Git LFS pointer), FT407 (too large)
                or FT408 (not a regular file).
        """
        self.path = path
        self.files = tuple(files) or (path,)
        self.wanted = wanted
        self.label = clean(label if label is not None else path, 1000)
        self._known: dict[str, Any] = {}
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such file"
            raise LogError(f"{self.label}: {reason}", code="FT401") from None
        if not stat.S_ISREG(status.st_mode):
            raise LogError(
                f"{self.label}: not a regular file",
                code="FT408",
                hint="Give the log file itself, or the folder that holds it.",
            )
        if status.st_size > MAX_BYTES:
            raise LogError(
                f"{self.label}: {status.st_size / 2**20:.0f} MiB, over the limit of "
                f"{MAX_BYTES // 2**20} MiB",
                code="FT407",
            )
        self._refuse_what_is_no_log()

    def _refuse_what_is_no_log(self) -> None:
        if not self.head.strip():
            raise LogError(f"{self.label}: the file is empty", code="FT402")
        if self.head.startswith(b"version https://git-lfs.github.com/spec/"):
            raise LogError(
                f"{self.label}: a Git LFS pointer, not the file itself",
                code="FT403",
                hint="Fetch the content with `git lfs pull`, then try again.",
            )

    @functools.cached_property
    def head(self) -> bytes:
        """The first 64 KiB."""
        try:
            with self.path.open("rb") as file:
                return file.read(HEAD_BYTES)
        except OSError as error:
            raise LogError(f"{self.label}: {error.strerror}", code="FT401") from None

    @functools.cached_property
    def text(self) -> str:
        """The whole file as text: UTF-8 (or UTF-16 with a mark), bad bytes replaced."""
        try:
            raw = self.path.read_bytes()
        except OSError as error:
            raise LogError(f"{self.label}: {error.strerror}", code="FT401") from None
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return raw.decode("utf-16", errors="replace")
        return raw.decode("utf-8-sig", errors="replace")

    def remember(self, key: str, make: Callable[[], T]) -> T:
        """Return what `make` gives, or raise what it raises, and call it once per `key`.

        Readers of one file share their parse this way.
        """
        if key not in self._known:
            try:
                self._known[key] = make()
            except LogError as error:
                self._known[key] = error
        value: T | LogError = self._known[key]
        if isinstance(value, LogError):
            raise value
        return value


@dataclass(frozen=True)
class Reader:
    """A log format: what the `register_readers` hook returns.

    Attributes:
        name: Short name in lower case, such as `"trainer_state"`; becomes `run.source.format`.
        description: One line for `ftadvise plugins`.
        sniff: How sure the reader is that the source is its own, from 0 (not at all) to 1. Must
            never raise and should look no further than `source.head` when that decides it.
        read: All runs in the source, in its order. Raises `LogError` when it holds none.
        gather: For a format that spreads one run over several files: given one file of it in a
            folder, all files of that run, in order. They become `source.files`. A file that is
            given by itself is read alone.
    """

    name: str
    description: str
    sniff: Callable[[Source], float]
    read: Callable[[Source], list[Run]]
    gather: Callable[[Path], Sequence[Path]] | None = None
