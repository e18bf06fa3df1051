"""Everything there is to say about a run in progress at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.watching.asides import Asides, asides
from ftadvise.watching.ending import ended
from ftadvise.watching.pace import Growth, Pace, is_silent, pace_of_log, usual_silence
from ftadvise.watching.progress import Progress, progress_of

if TYPE_CHECKING:
    from pathlib import Path

    from ftadvise.run import Run


@dataclass(frozen=True, eq=False)
class Status:
    """A run at one moment.

    Attributes:
        file: The log.
        progress: How far it is and what is expected.
        pace: How long an epoch takes; None where neither the log nor its growth tells.
        quiet: Seconds since the log was written.
        usual: Longest usual silence in seconds; None where too little is known.
        silent: Whether `quiet` is more than is usual: it may have died or finished.
        left: Seconds to the planned end; None without plan or pace, or when the run is over.
        tokens: Tokens seen so far; None where the log does not say.
        ended: Why it is over; None while it goes on.
    """

    file: Path
    progress: Progress
    pace: Pace | None
    quiet: float
    usual: float | None
    silent: bool
    left: float | None
    tokens: float | None
    ended: str | None


class Watched:
    """What is remembered of a run from one look to the next: one run, and when it grew."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._growth = Growth()
        self._known: tuple[Path, Progress, Asides, Pace | None] | None = None

    def update(self, run: Run, file: Path, written: float) -> None:
        """Take in a run that has changed.

        Args:
            run: As the log tells it now.
            file: The log.
            written: When the log was written, in seconds of the system's clock.
        """
        progress, beside = progress_of(run), asides(file, run)
        self._growth.note(written, progress.epoch)
        self._known = file, progress, beside, pace_of_log(beside, run.steps_per_epoch)

    def status(self, quiet: float) -> Status | None:
        """Return the status `quiet` seconds after the log was written; None before a first run."""
        if self._known is None:
            return None
        file, progress, beside, of_log = self._known
        growth = self._growth.pace()
        usual = usual_silence(of_log, growth, file.parent.name.startswith("checkpoint-"))
        silent, pace = is_silent(quiet, usual), of_log or growth
        over = ended(progress, beside, silent)
        planned, left = progress.run.planned_epochs, None
        if planned and pace and over is None:
            left = max(0.0, pace.seconds_per_epoch * (planned - progress.epoch) - quiet)
        return Status(
            file, progress, pace, quiet, usual, silent, left, beside.tokens, over
        )  # fmt: skip
