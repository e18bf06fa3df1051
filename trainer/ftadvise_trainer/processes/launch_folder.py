"""The folder through which a launcher and the processes that it has started tell each other things.

torchrun's agent knows one thing of a process, its exit status, and starts all of them again when it
is not 0. That is too little: a run that was saved and stopped by a signal must not go on, and a
mistake in the settings does not mend itself. So each process writes down how it ended, and the
launcher that it was told to stop; both look here before they go on.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ftadvise.text import clean
from ftadvise_trainer.saving.durable import write_atomically

VARIABLE = "FTADVISE_LAUNCH"
"""Environment variable with the path of the folder; set in the processes of a launch alone."""

_MOST_LINES = 30


@dataclass(frozen=True)
class End:
    """How one process of one attempt ended.

    Attributes:
        rank: Its place among the processes of this host.
        code: Exit status as of the command.
        final: Whether another attempt would end the same way: done, a known mistake, a signal.
        lost: Whether it only ended because another process had gone.
    """

    rank: int
    code: int
    final: bool
    lost: bool = False


class LaunchFolder:
    """What stands in the folder at `path`; nothing in it outlives the launcher."""

    def __init__(self, path: Path) -> None:
        """Look at the folder at `path`."""
        self.path = path

    @classmethod
    def of_environment(cls) -> LaunchFolder | None:
        """Return the folder of the launcher that has started this process, if one has."""
        path = os.environ.get(VARIABLE)
        return cls(Path(path)) if path else None

    def stop(self, number: int) -> None:
        """Note that the launcher was told to stop by this signal."""
        write_atomically(self.path / "stop", str(number).encode())

    def stopped(self) -> int | None:
        """Return the signal by which the launcher was told to stop, if it was."""
        try:
            return int((self.path / "stop").read_text())
        except (OSError, ValueError):
            return None

    def put(self, attempt: int, end: End) -> None:
        """Note how a process of an attempt (counted from 0) ended."""
        data = json.dumps(asdict(end)).encode()
        write_atomically(self.path / f"end-{attempt}-{end.rank}.json", data)

    def ends(self, attempt: int) -> list[End]:
        """Return how the processes of an attempt ended, as far as they could say so."""
        found: list[End] = []
        for path in sorted(self.path.glob(f"end-{attempt}-*.json")):
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            found.append(End(**fields))
        return sorted(found, key=lambda end: end.rank)

    @property
    def logs(self) -> Path:
        """Where torchrun writes what is not for the terminal."""
        return self.path / "logs"

    def attempt(self) -> int:
        """Return the newest attempt, counted from 0."""
        found = self.logs.glob("*/attempt_*")
        return max((int(path.name.removeprefix("attempt_")) for path in found), default=0)

    def said(self, attempt: int, rank: int) -> list[str]:
        """Return the last lines that a process wrote to stderr, harmless to show."""
        for path in self.logs.glob(f"*/attempt_{attempt}/{rank}/stderr.log"):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            return [clean(line, 400) for line in lines[-_MOST_LINES:] if line.strip()]
        return []

    def complaints(self, attempt: int, dead: dict[int, int]) -> list[str]:
        """Return what went wrong in an attempt, in the words of those to whom it happened.

        Args:
            attempt: Counted from 0.
            dead: Exit status, negative for a signal, of processes that could not say it.
        """
        ends = self.ends(attempt)
        if any(end.rank == 0 and end.code and not end.lost for end in ends):
            return []  # it has been on the terminal
        lines: list[str] = []
        for end in ends:
            said = self.said(attempt, end.rank)
            if end.code and not end.lost and said not in [lines[-len(said) :], []]:
                lines += [f"process {end.rank} failed:", *said]
        known = {end.rank for end in ends}
        for rank, status in sorted(dead.items()):
            # Whom torchrun has ended, because another had gone, has nothing to say.
            if rank not in known and (status != -signal.SIGTERM or not lines):
                lines += [f"process {rank} {died(status)}", *self.said(attempt, rank)]
        return lines


def died(status: int) -> str:
    """Return in words how a process ended, from its status as Python gives it."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
