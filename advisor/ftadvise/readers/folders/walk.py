"""The files below a folder, near ones first: bounded, and never out of the folder.

No link to a folder is followed, so there are no loops; a link to a file is where the file lies in
the same folder. Pipes, sockets and devices are passed over, and so are hidden folders.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.folders.ranks import TELLING
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 12
MAX_ENTRIES = 200_000
MAX_FILES = 20_000  # whose names say that they are logs
MAX_LOOSE = 5000  # of which only the content can say so

_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env"})

Place = tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A file that may be a log.

    Attributes:
        path: Where it lies.
        place: Names of the folders on the way to it.
        name: Its name.
        rank: What its name promises; the lower, the more.
        size: Bytes.
        written: When it was last written, in seconds of the system's clock.
    """

    path: Path
    place: Place
    name: str
    rank: int
    size: int
    written: float


@dataclass
class Tree:
    """What a walk found.

    Attributes:
        files: The files that may be logs, near ones first.
        passed: How many more there are whose names do not say that they are logs.
        notes: Why there may be more, one sentence each.
    """

    files: list[File] = field(default_factory=list[File])
    passed: int = 0
    notes: list[str] = field(default_factory=list[str])


def walk(root: Path, rank_of: Callable[[str, Place], int | None]) -> Tree:
    """Return the files below `root` for which `rank_of` gives a rank.

    Args:
        root: The folder; it may be a link itself.
        rank_of: Ranks a file by its name and the folders on the way; None for no log.

    Raises:
        LogError: FT401 when the folder cannot be listed.
    """
    walking = _Walk(root, rank_of)
    walking.run()
    return walking.tree


class _Walk:
    def __init__(self, root: Path, rank_of: Callable[[str, Place], int | None]) -> None:
        self.root = root
        self.rank_of = rank_of
        self.tree = Tree()
        self.left = MAX_ENTRIES
        self.closed = 0  # folders that cannot be listed
        self.loose = 0
        self.seen: set[tuple[int, int]] = set()
        self.waiting: deque[Place] = deque([()])
        try:
            self.real = root.resolve()
        except (OSError, RuntimeError) as error:
            raise _unlisted(root, error) from None

    def run(self) -> None:
        while self.waiting and not self._is_over():
            self._folder(self.waiting.popleft())
        if self._is_over():
            self.tree.notes.append(
                f"The search of the folder ended after {MAX_ENTRIES - max(self.left, 0):,} "
                "entries: there may be more runs in it."
            )
        if self.closed:
            noun = "folder" if self.closed == 1 else "folders"
            self.tree.notes.append(f"{self.closed} {noun} below could not be listed.")

    def _is_over(self) -> bool:
        return self.left <= 0 or len(self.tree.files) - self.loose >= MAX_FILES

    def _folder(self, place: Place) -> None:
        deeper: list[Place] = []
        try:
            with os.scandir(self.root.joinpath(*place)) as entries:
                for entry in entries:
                    self.left -= 1
                    if self._is_over():
                        break
                    if self._is_folder(entry):
                        if not entry.name.startswith(".") and entry.name not in _PASSED_OVER:
                            deeper.append((*place, entry.name))
                    else:
                        self._file(entry, place)
        except OSError as error:
            if not place:
                raise _unlisted(self.root, error) from None
            self.closed += 1
        if len(place) < MAX_DEPTH:
            self.waiting.extend(sorted(deeper))

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            return entry.is_dir(follow_symlinks=False)
        except OSError:
            return False

    def _file(self, entry: os.DirEntry[str], place: Place) -> None:
        rank = self.rank_of(entry.name, place)
        if rank is None:
            return
        if rank >= TELLING and self.loose >= MAX_LOOSE:
            self.tree.passed += 1
            return
        path = self.root.joinpath(*place, entry.name)
        try:
            if entry.is_symlink() and not lies_in(path, self.real):
                return
            status = path.stat()
        except (OSError, ValueError):
            return
        if not stat.S_ISREG(status.st_mode) or (status.st_dev, status.st_ino) in self.seen:
            return
        if status.st_ino:  # file systems without numbers of their own give 0
            self.seen.add((status.st_dev, status.st_ino))
        self.loose += rank >= TELLING
        self.tree.files.append(
            File(path, place, entry.name, rank, status.st_size, status.st_mtime)
        )


def lies_in(file: Path, root: Path) -> bool:
    """Return whether `file` is a regular file that no link leads out of `root` to.

    Args:
        file: Any path.
        root: A folder without links on the way to it (see `Path.resolve`).
    """
    try:
        return file.is_file() and file.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError):
        return False


def _unlisted(root: Path, error: Exception) -> LogError:
    reason = getattr(error, "strerror", None) or "cannot be listed"
    return LogError(f"{clean(root, 1000)}: {reason}", code="FT401")
