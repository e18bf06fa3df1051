"""A log on disk before it is understood, and the data type of a reader.

A `Source` is opened once, within limits, and shared by all readers that look at it. What is
compressed, or comes from the standard input, lies in a temporary file by then: every reader sees
plain regular files.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ftadvise.errors import LogError
from ftadvise.readers.files import expanding, opening, spool
from ftadvise.readers.files.opening import encoding_of, size_and_head, too_large
from ftadvise.readers.wanted import ANY, Wanted
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ftadvise.run import Run

T = TypeVar("T")

MAX_BYTES = 512 * 1024 * 1024
"""Of a file that is read as a whole."""
MAX_STREAMED = 16 * 1024**3
"""Of a file that is read line by line."""
MAX_LINE = 16 * 1024 * 1024
HEAD_BYTES = opening.HEAD_BYTES
STANDARD_INPUT = "-"


class Source:
    """One regular file with a log in it, or the files of one log that is spread over several.

    Attributes:
        path: Where it lies, as a plain file; of several files the first. A temporary file for
            what was compressed or came from the standard input.
        files: All files of the log, in its order, likewise plain.
        given: The file as the caller gave it, to look beside it; None for the standard input.
        name: Its name, without the ending of a compression; "" for the standard input.
        size: Bytes of the file at `path`.
        label: The path as the caller gave it, for messages.
        wanted: The series that were asked for by name.
        notes: What has to be known of how it was opened, one sentence each.
    """

    def __init__(
        self,
        path: Path,
        label: str | None = None,
        wanted: Wanted = ANY,
        files: Sequence[Path] = (),
    ) -> None:
        """Check that `path` is a readable regular file of reasonable size, and expand it.

        Raises:
            LogError: FT401 (missing), FT402 (empty), FT403 (Git LFS pointer), FT404 (compressed
                and damaged), FT407 (too large) or FT408 (not a regular file).
        """
        self.label = clean(label if label is not None else path, 1000)
        self.given: Path | None = path
        self.wanted = wanted
        self.notes: tuple[str, ...] = ()
        self._known: dict[str, Any] = {}
        self._temporary: list[spool.TemporaryLog] = []
        self.name = expanding.without_suffix(path.name)
        try:
            self.path = self._plain(path)
            others = (self._other(file, path) for file in files or (path,))
            self.files = tuple(file for file in others if file is not None)
            self._refuse_what_is_no_log()
        except BaseException:
            for made in self._temporary:
                made.remove()
            raise

    def _plain(self, path: Path) -> Path:
        """Return `path`, or a temporary file with what it expands to."""
        size, head = size_and_head(path, self.label)
        if size > MAX_STREAMED:
            raise too_large(self.label, size, MAX_STREAMED)
        compression = expanding.compression_of(head)
        if not compression:
            return path
        made = spool.expanded(path, compression, self.label)
        self.keep(made)
        return made.path

    def _other(self, file: Path, first: Path) -> Path | None:
        """Return one of `files` as a plain file; one that cannot be opened is left out."""
        try:
            return self.path if file == first else self._plain(file)
        except LogError as error:
            self.notes = (*self.notes, f"Left out {clean(file.name, 80)}: {error.message}.")
            return None

    def keep(self, made: spool.TemporaryLog) -> None:
        """Keep a temporary file as long as this source, and its notes."""
        self._temporary.append(made)
        self.notes = tuple(dict.fromkeys([*self.notes, *made.notes]))

    def _refuse_what_is_no_log(self) -> None:
        if not self.head.strip():
            what = "the file is empty" if self.size <= HEAD_BYTES else "it begins with blanks only"
            raise LogError(f"{self.label}: {what}", code="FT402")
        if not self.head.strip(b"\0"):  # what some file systems leave after a crash
            raise LogError(f"{self.label}: the file holds zeros instead of text", code="FT402")
        if self.head.startswith(b"version https://git-lfs.github.com/spec/"):
            raise LogError(
                f"{self.label}: a Git LFS pointer, not the file itself",
                code="FT403",
                hint="Fetch the content with `git lfs pull`, then try again.",
            )

    @functools.cached_property
    def head(self) -> bytes:
        """The first 64 KiB."""
        return size_and_head(self.path, self.label)[1]

    @functools.cached_property
    def size(self) -> int:
        """Bytes of the file at `path`."""
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise LogError(f"{self.label}: {error.strerror}", code="FT401") from None

    @functools.cached_property
    def encoding(self) -> str:
        """The encoding of the text: UTF-8, or UTF-16 and UTF-32 where the first bytes say so."""
        return encoding_of(self.head)

    @functools.cached_property
    def text(self) -> str:
        """The whole file as text, bad bytes replaced; LogError FT407 where it is over 512 MiB."""
        try:
            with self.path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise LogError(f"{self.label}: {error.strerror}", code="FT401") from None
        if len(raw) > MAX_BYTES:
            raise too_large(self.label, self.size, MAX_BYTES)
        return raw.decode(self.encoding, errors="replace")

    def lines(self) -> Iterator[str]:
        r"""Yield the lines of the file from disk, without their ends.

        A line ends with a line feed, a carriage return or both, as in the output of progress
        bars. Of a line of more than 16 Mi characters the rest comes as further lines.

        Raises:
            LogError: FT401, the file cannot be read any more.
        """
        return (part.removesuffix("\n") for part in self._parts("readline", MAX_LINE))

    def chunks(self, size: int) -> Iterator[str]:
        """Yield the text from disk in pieces of `size` characters.

        Raises:
            LogError: FT401, the file cannot be read any more.
        """
        return self._parts("read", size)

    def _parts(self, how: Literal["read", "readline"], size: int) -> Iterator[str]:
        try:
            with self.path.open(encoding=self.encoding, errors="replace") as file:
                take = file.readline if how == "readline" else file.read
                while part := take(size):
                    yield part
        except OSError as error:
            raise LogError(f"{self.label}: {error.strerror}", code="FT401") from None

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


def opened(path: str | os.PathLike[str], label: str | None = None, wanted: Wanted = ANY) -> Source:
    """Return the log at `path`, or all that comes from the standard input for `-`.

    The standard input can be read once; what it held is gone when the source is.

    Raises:
        LogError: As for `Source`, and FT408 where the standard input is a terminal.
    """
    given = os.fspath(path)
    if given != STANDARD_INPUT:
        return Source(Path(given), label if label is not None else given, wanted)
    label = label if label is not None else "standard input"
    received = spool.standard_input(label)
    try:
        source = Source(received.path, label, wanted)
    except BaseException:
        received.remove()
        raise
    source.keep(received)
    source.given, source.name = None, ""
    return source


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
