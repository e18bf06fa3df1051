"""Which of several processes of one run this is."""

from __future__ import annotations

import os


def first_process() -> bool:
    """Say whether this is the only process of the run, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """Return the number of processes of the run, as the launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))
