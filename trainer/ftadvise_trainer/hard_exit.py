"""Ends the process on the second signal, also while the main thread is stuck.

A Python signal handler runs in the main thread between two bytecodes: never, while that waits for
another rank in a collective. The C part of the handler writes the number into a pipe at once, and
a thread of ours reads it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

GRACE = 1.5
"""Seconds from the second signal to the end of the process, whatever it is doing."""


class SecondSignal:
    """Watches for the second of some signals from `start` to `stop`; main thread only."""

    def __init__(self, numbers: Collection[int], echo: float) -> None:
        """Watch `numbers`; one less than `echo` seconds after the first is the same one."""
        self._numbers = frozenset(numbers)
        self._echo = echo
        self._pipe: tuple[int, int] | None = None

    def start(self) -> None:
        """Begin to watch, unless somebody else (asyncio) already reads the signals."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        if previous != -1:
            signal.set_wakeup_fd(previous)
            os.close(reader)
            os.close(writer)
            return
        self._pipe = reader, writer
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()

    def stop(self) -> None:
        """Stop watching; the thread ends when its pipe closes."""
        if self._pipe is not None:
            signal.set_wakeup_fd(-1)
            os.close(self._pipe[1])
            self._pipe = None

    def _watch(self, reader: int) -> None:
        first: float | None = None
        while numbers := os.read(reader, 64):
            for number in numbers:
                now = time.monotonic()
                if number not in self._numbers:
                    continue
                if first is None:
                    first = now
                elif now - first >= self._echo:
                    time.sleep(GRACE)
                    os._exit(128 + number)
        os.close(reader)


def _forget_in_child() -> None:
    # The workers of a data loader share the pipe: Ctrl-C reaches them all and would count as many.
    with contextlib.suppress(ValueError):  # forked from another thread
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
