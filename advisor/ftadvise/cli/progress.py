"""One line on stderr while something takes longer than people like to wait, on a terminal alone."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TextIO

AFTER = 2.0  # seconds
EVERY = 0.1


class Progress:
    """A line that is rewritten in place, and gone at the end."""

    def __init__(self, what: str, total: int, of: str = "logs") -> None:
        """Start the clock; nothing is shown yet.

        Args:
            what: What is done, as in `analyzing`.
            total: How many there are.
            of: What they are.
        """
        self._what, self._total, self._of = what, total, of
        self._began = time.monotonic()
        self._shown_at = 0.0
        self._shown = False
        self._terminal = _is_terminal()

    def at(self, done: int) -> None:
        """Show how many are done, if it is time for that."""
        now = time.monotonic()
        if not self._terminal or now - self._began < AFTER or now - self._shown_at < EVERY:
            return
        self._shown_at, self._shown = now, True
        _send(_line(f"{self._what} {self._of}: {done} of {self._total}"))

    def clear(self) -> None:
        """Take the line away, before anything else is written or at the end."""
        if self._shown:
            self._shown = False
            _send(_line(""))


@contextmanager
def waiting(what: str) -> Generator[None]:
    """Show `what` while something that cannot tell how far it is takes long."""
    if not _is_terminal():
        yield
        return
    shown = threading.Event()

    def show() -> None:
        shown.set()
        _send(_line(what))

    timer = threading.Timer(AFTER, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if shown.is_set():
            _send(_line(""))


def _is_terminal() -> bool:
    err: TextIO | None = sys.stderr  # None where the program was started without one
    return err is not None and err.isatty() and os.environ.get("TERM") != "dumb"


def _line(text: str) -> str:
    return f"\r{text[: shutil.get_terminal_size().columns - 1]}\x1b[K"


def _send(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
