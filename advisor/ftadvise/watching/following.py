"""Looks at a log that somebody else is writing, and gives a run whenever there is more of it.

The log is opened for reading only, and only when its size, time or inode has changed. What is
caught in the middle of being written is looked at again before anything is said about it.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers import read_all
from ftadvise.readers.folders.below import read_below, read_each
from ftadvise.readers.folders.folder import files_below, logs_in
from ftadvise.readers.picking import called
from ftadvise.readers.wanted import ANY, Wanted
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.run import Run

GRACE = 10.0  # seconds: a log may be unreadable for so long before anything is said
# Wrong for good: a Git LFS pointer, over the size limit, not a regular file.
_FOR_GOOD = ("FT403", "FT407", "FT408")
# Files of one moment: a whole output folder is written within it, or copied.
_TOGETHER_NS = 60 * 10**9
_STATES = ("trainer_state.json", "training_metrics.json")
_MOST_TRIED = 4  # states of one folder, the newest first
_WHOLE = (b"\n", b"}", b"]")
_START = re.compile(r"start \d+\)?$")  # of a name, where one log holds several starts

_Stamp = tuple[str, int, int, int]


@dataclass(frozen=True, eq=False)
class Look:
    """What one look at the path found.

    Attributes:
        run: The run as it was last readable; None when there never was one.
        file: The log that it stands in; None as above.
        fresh: Whether `run` is newer than at the look before.
        written: When the log was last written, in seconds of the system's clock.
        again: Whether the log was caught in the middle of being written: look again soon.
        trouble: Why the log cannot be read, once that has lasted.
    """

    run: Run | None
    file: Path | None
    fresh: bool
    written: float | None
    again: bool
    trouble: LogError | None


class Follower:
    """Follows one log, or the log in one folder."""

    def __init__(
        self,
        path: str,
        name: str | None = None,
        grace: float = GRACE,
        wanted: Wanted = ANY,
    ) -> None:
        """Set what is followed; nothing is opened yet.

        Args:
            path: A log, or a folder that holds one. It need not exist yet.
            name: The run to take, of several in a file or folder; None for the one in progress.
            grace: Seconds for which a log may be unreadable before that counts as trouble.
            wanted: The series to take, by their names in the log.
        """
        self.path, self.name, self.grace, self.wanted = path, name, grace, wanted
        self.failure: LogError | None = None
        """What the last try to read ended with; None when it went well."""
        self._run: Run | None = None
        self._file: Path | None = None
        self._written: float | None = None
        self._read_at: tuple[_Stamp, ...] | None = None
        self._half_at: tuple[_Stamp, ...] | None = None
        self._failed_at: float | None = None

    def look(self, now: float) -> Look:
        """Look at the log, and read it if it has changed.

        Args:
            now: Seconds of any clock that never goes back.

        Raises:
            LogError: FT403, FT407, FT408: it will never be a log that can be read.
        """
        fresh = again = False
        try:
            stamps = self._stamps()
            if stamps != self._read_at:
                again = self._is_half_written(stamps)
                fresh = not again and self._read(stamps)
        except LogError as error:
            if error.code in _FOR_GOOD:
                raise
            # Unchanged since it failed once, it is not read again: it would fail again.
            if self._failed_at is None:
                self._failed_at, again = now, True
            self.failure = error
        if fresh:
            self.failure = self._failed_at = None
        return Look(self._run, self._file, fresh, self._written, again, self._trouble(now))

    def _trouble(self, now: float) -> LogError | None:
        lasts = self._failed_at is not None and now - self._failed_at >= self.grace
        return self.failure if lasts else None

    def _stamps(self) -> tuple[_Stamp, ...]:
        """Return inode, size and time of all files that may be the log.

        Raises:
            LogError: FT401 when there is no such file or folder, FT408 for what is no file.
        """
        if not self.path:  # which pathlib takes for the folder at hand
            raise LogError("no path given: the name of the log is empty", code="FT401")
        place = Path(self.path)
        try:
            files = _files_of(place) if _is_folder(place) else [place]
            return tuple(_stamp(file, self.path) for file in files)
        except LogError:
            self._read_at = None  # what comes back may be the same file, and is read all the same
            raise

    def _is_half_written(self, stamps: tuple[_Stamp, ...]) -> bool:
        """Say whether the log ends in the middle of a line; if it stays so, it is no longer."""
        seen_before, self._half_at = stamps == self._half_at, stamps
        if seen_before or not stamps:
            return False
        newest = max(stamps, key=lambda stamp: stamp[3])
        return not _ends_whole(Path(newest[0]))

    def _read(self, stamps: tuple[_Stamp, ...]) -> bool:
        """Read the log and keep the run, if there is one; what failed twice is not read again."""
        failed_before, self._read_at = self._failed_at is not None, None
        try:
            file, runs = self._runs(stamps)
            run = self._chosen(runs)
        except LogError:
            self._read_at = stamps if failed_before else None
            raise
        self._read_at = stamps
        self._run, self._file = run, file
        self._written = next((s[3] for s in stamps if s[0] == str(file)), 0) / 1e9
        return True

    def _runs(self, stamps: tuple[_Stamp, ...]) -> tuple[Path, list[Run]]:
        """Return the log and its runs: in a folder the newest state that can be read."""
        place, keys = Path(self.path), (self.wanted.key, self.wanted.eval_key)
        if not _is_folder(place):
            return place, read_all(self.path, *keys)
        for file in _newest_states(stamps) if self.name is None else ():
            try:
                return file, read_all(file, *keys)
            except LogError:
                continue
        below = read_below(place, self.wanted, read_each)
        one = below.newest() if self.name is None else below.called(self.name, self.path)
        return Path(one.run.source.path), [b.run for b in below.runs if b.log is one.log]

    def _chosen(self, runs: list[Run]) -> Run:
        """Return the run in progress: as `read` chooses, and of several starts the last."""
        if self.name is not None:
            return called(runs, self.name, self.path)
        best = max(runs, key=lambda run: (bool(len(run.train) and len(run.eval)), _points(run)))
        if not _START.search(best.source.run):
            return best
        stem = _START.sub("", best.source.run)
        return [run for run in runs if _START.sub("", run.source.run) == stem][-1]


def with_plan(run: Run, epochs: float | None) -> Run:
    """Return the run, planned for `epochs` where its log does not say."""
    return replace(run, planned_epochs=epochs) if epochs and not run.planned_epochs else run


def _points(run: Run) -> int:
    return len(run.train) + len(run.eval)


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except OSError:  # such as a file system that is away for a moment; to read it says so
        return False


def _files_of(folder: Path) -> list[Path]:
    """Return what may be the log in a folder: a state, or any log in and below it."""
    files = list(logs_in(folder))
    if any(file.name in _STATES for file in files):
        return files
    return list(dict.fromkeys([*files, *files_below(folder)]))


def _stamp(file: Path, given: str) -> _Stamp:
    try:
        status = file.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise LogError(f"{clean(given, 1000) or 'no path'}: {reason}", code="FT401") from None
    if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for its writer
        raise LogError(
            f"{clean(given, 1000)}: not a regular file",
            code="FT408",
            hint="Give the log file itself, or the folder that holds it.",
        )
    return str(file), status.st_ino, status.st_size, status.st_mtime_ns


def _newest_states(stamps: Iterable[_Stamp]) -> list[Path]:
    """Return the states of a folder that were written last, in the order of `logs_in`.

    A state that an older run left in the same folder is not that of the run in progress.
    """
    states = [stamp for stamp in stamps if Path(stamp[0]).name in _STATES]
    latest = max((stamp[3] for stamp in states), default=0)
    states.sort(key=lambda stamp: (latest - stamp[3]) // _TOGETHER_NS)
    return [Path(stamp[0]) for stamp in states[:_MOST_TRIED]]


def _ends_whole(file: Path) -> bool:
    """Say whether a file ends as a written-out one does: with a line end or a closing bracket."""
    try:
        with file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - 1))
            return log.read(1) in _WHOLE
    except OSError:
        return True  # reading it says what is wrong
