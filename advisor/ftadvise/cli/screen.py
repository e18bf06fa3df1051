"""Repaints a few lines of a terminal in place, and leaves them there."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import unicodedata
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
# While lines are written the terminal cuts off what is too long, so that a line is one row.
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"


class Screen:
    """The lines at the cursor of a terminal; a context, so that the cursor is always shown again."""

    def __init__(self) -> None:
        """Start with no line shown."""
        self._shown: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Self:
        """Hide the cursor."""
        _send(_HIDE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show the cursor, below the last picture."""
        _send(_WRAP + _SHOW)

    def paint(self, lines: list[str], columns: int, rows: int) -> None:
        """Show `lines` in place of those before; nothing is sent when nothing has changed.

        Args:
            lines: What to show, colours allowed.
            columns: Of the terminal now; after a change of size it may have wrapped the old lines.
            rows: Of the terminal now; what does not fit is left out.
        """
        lines = lines[: max(1, rows - 1)]
        if lines == self._shown and (columns, rows) == self._size:
            return
        up = min(sum(_rows(line, columns) for line in self._shown), max(0, rows - 1))
        parts = [_CUT, "\r", f"\x1b[{up}A" if up else ""]
        before: list[str] = []
        if (columns, rows) != self._size:
            parts.append("\x1b[J")
        else:
            before = self._shown
        for place, line in enumerate(lines):
            same = place < len(before) and line == before[place]
            parts.append("\n" if same else f"{line}\x1b[K\n")
        _send("".join([*parts, "\x1b[J", _WRAP]))
        self._shown, self._size = lines, (columns, rows)


def restore_at_once() -> None:
    """Show the cursor of the terminal unless that would have to be waited for.

    A terminal that was stopped (Ctrl-S), that nobody reads from, or whose foreground is another's,
    takes nothing; who has been told to end must not wait for it. A file description of its own is
    written to, as one that does not wait: the shell shares the other one.
    """
    if sys.platform == "win32":
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a background process may write these few bytes
    text, descriptor = (_WRAP + _SHOW).encode(), sys.stdout.fileno()
    with contextlib.suppress(OSError):
        try:
            own = os.open(
                os.ttyname(descriptor), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            )
        except OSError:  # a terminal without a name here, as in some containers
            if select.select([], [descriptor], [], 0)[1]:
                os.write(descriptor, text)
            return
        with contextlib.closing(os.fdopen(own, "wb", buffering=0)) as terminal:
            terminal.write(text)


def _rows(line: str, columns: int) -> int:
    cells = sum(map(_cells, _COLOUR.sub("", line)))
    return max(1, -(-cells // columns))


def _cells(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _send(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
