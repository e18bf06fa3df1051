"""The log that the documentation shows, and what is made of it."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

import ftadvise

ROOT = Path(__file__).parents[2]
LOG = "examples/chat/trainer_state.json"
COMMAND = f"ftadvise analyze {LOG}"


@functools.cache
def advice() -> ftadvise.Advice:
    """Return the advice from the log, read from the root of the repository as readers would."""
    with contextlib.chdir(ROOT):
        return ftadvise.advise(ftadvise.read(LOG))
