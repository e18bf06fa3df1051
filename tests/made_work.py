"""Work for processes of their own, which have to import it by name."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


def half(piece: int) -> float:
    """Return half of `piece`; the later, the sooner it is done."""
    time.sleep(0.02 if piece % 5 == 0 else 0.0)
    return piece / 2


def deadly(piece: int) -> int:
    """Return `piece`; some of them end the process in some way."""
    if piece == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if piece == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if piece == 8:
        os._exit(5)
    return piece


def stubborn(piece: int) -> Any:
    """Return what cannot be pickled."""
    return lambda: piece


def whose(piece: int) -> int:
    """Return the process that does it."""
    return os.getpid()
