"""Where ftadvise keeps what is the user's: the history."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HISTORY = "FTADVISE_HISTORY"
OFF = "off"
_NAME = "history.sqlite3"


def history_is_kept() -> bool:
    """Say whether a history is kept: not with FTADVISE_HISTORY=off."""
    return os.environ.get(HISTORY, "").strip().lower() != OFF


def history_file() -> Path:
    """Return where the history lies: `$FTADVISE_HISTORY`, else in the user's data folder.

    Raises:
        RuntimeError: No home folder is known.
    """
    given = os.environ.get(HISTORY, "")
    return Path(given).expanduser().absolute() if given else _data_folder() / _NAME


def _data_folder() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "ftadvise"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ftadvise"
    data = os.environ.get("XDG_DATA_HOME", "")
    # The specification has relative paths ignored.
    base = Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share"
    return base / "ftadvise"
