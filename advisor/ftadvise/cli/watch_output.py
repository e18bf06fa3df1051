"""How `ftadvise watch` shows a run: a picture in place, lines, or objects."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING, NoReturn

from ftadvise.cli import messages
from ftadvise.cli.output import look, write
from ftadvise.cli.screen import Screen, restore_at_once
from ftadvise.text import clean

if TYPE_CHECKING:
    from types import TracebackType

    from ftadvise.errors import LogError
    from ftadvise.run import Run
    from ftadvise.watching.following import Look
    from ftadvise.watching.progress import Progress
    from ftadvise.watching.status import Status


class Output:
    """How a run is shown; the base shows nothing."""

    def __enter__(self) -> None:
        """Prepare stdout."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave stdout as it was."""

    def now(
        self, seen: Look, status: Status | None, failure: LogError | None, waited: float
    ) -> None:
        """Show what the last look found.

        Args:
            seen: The look.
            status: The run as it is; None before there is one.
            failure: Why the log could not be read; None when it could.
            waited: Seconds since there was anything new.
        """

    def resized(self) -> None:
        """Show the same in a terminal of another size."""

    def over(self, status: Status | None) -> None:
        """Say on stderr why the watch ends."""
        if status is None:
            return
        decision = status.progress.decision
        if status.ended is not None:
            messages.say("ended", status.ended)
        elif decision is not None:
            messages.say("stop", decision.reason)


class Lines(Output):
    """A line for each new evaluation."""

    def __init__(self) -> None:
        """Start with nothing told."""
        self._told: Run | None = None
        self._said = ""

    def now(
        self, seen: Look, status: Status | None, failure: LogError | None, waited: float
    ) -> None:
        """Write a line for each evaluation that was not told yet."""
        from ftadvise.watching.evaluations import evaluations_since
        from ftadvise.watching.progress import progress_of

        self._complain(seen, status, failure)
        if status is None or not seen.fresh:
            return
        run = status.progress.run
        for at in evaluations_since(run, self._told):
            write(self.text(status, progress_of(at)))
            self._told = run

    def text(self, status: Status, progress: Progress) -> str:
        """Return the line of one evaluation."""
        from ftadvise.reports.watching import line

        return line(status, progress)

    def _complain(self, seen: Look, status: Status | None, failure: LogError | None) -> None:
        """Say on stderr, once, what is waited for, what is wrong for long, and that it is silent."""
        label, wrong = ("waiting", failure) if status is None else ("trouble", seen.trouble)
        text = f"{clean(wrong.message, 300)} [{wrong.code}]" if wrong else ""
        if not text and status is not None and status.silent and status.ended is None:
            label, text = "silent", "nothing was written for long: it may have died or ended"
        if text and text != self._said:
            messages.say(label, text)
        self._said = text


class Objects(Lines):
    """A JSON object for each new evaluation."""

    def text(self, status: Status, progress: Progress) -> str:
        """Return the object of one evaluation, on one line."""
        from ftadvise.reports import jsonout, watching

        return jsonout.dumps(watching.as_dict(status, progress), one_line=True)


class Picture(Output):
    """A picture: repainted in place on a terminal, or written once."""

    def __init__(
        self, log: str, width: int | None, ascii_only: bool, price: float | None, live: bool
    ) -> None:
        """Set what the picture looks like; without `live` it is written once, and stays."""
        self._log, self._width, self._ascii, self._price = log, width, ascii_only, price
        self._screen = Screen() if live else None
        self._size: os.terminal_size | None = None
        self._last: tuple[Look, Status | None, LogError | None, float] | None = None

    def __enter__(self) -> None:
        """Hide the cursor; a signal that ends the program has to show it again."""
        if self._screen is not None:
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGTERM, _leave)
            self._screen.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show the cursor again."""
        if self._screen is not None:
            self._screen.__exit__(kind, error, trace)

    def now(
        self, seen: Look, status: Status | None, failure: LogError | None, waited: float
    ) -> None:
        """Paint the picture of this moment."""
        self._last = (seen, status, failure, waited)
        size = self._size = shutil.get_terminal_size()
        if self._screen is None:
            write("\n".join(self._lines(None)))
        else:
            self._screen.paint(self._lines(size.lines - 1), size.columns, size.lines)

    def resized(self) -> None:
        """Paint it again if the terminal has another size now."""
        if self._last is not None and shutil.get_terminal_size() != self._size:
            self.now(*self._last)

    def over(self, status: Status | None) -> None:
        """Say nothing: the picture says it."""

    def _lines(self, height: int | None) -> list[str]:
        from ftadvise.reports import watching
        from ftadvise.reports.style import Style

        assert self._last is not None
        seen, status, failure, waited = self._last
        how = look(self._width, self._ascii, to_file=False)
        if status is None:
            return watching.waiting(self._log, failure, waited, how.width)
        return watching.picture(
            status, how.width, height, how.ascii, Style(how.colour), self._price, seen.trouble
        )


def _leave(*_: object) -> NoReturn:
    restore_at_once()
    # Without what Python does at its end: it would wait to write out what a terminal does not take.
    os._exit(128 + signal.SIGTERM)
