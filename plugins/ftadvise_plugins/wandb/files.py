"""The files of one W&B run: a run that was resumed has a folder, and a file, for each start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_FILES = 100
_MOST_ENTRIES = 10_000
_MOST_BYTES = 1024 * 1024
_FOLDER = re.compile(r"(?:offline-)?run-(\d{8}_\d{6})-(.{1,128})$", re.DOTALL)
_ENTRY = re.compile(r"(\w[\w.-]{0,80}):[ \t]*$")
_VALUE = re.compile(r"[ ]{2}value:[ \t]*(\S.{0,200})$")
_WORDS = {"true": True, "false": False, "null": None}


def gather(path: Path) -> Sequence[Path]:
    """Return the `.wandb` files of the run that `path` belongs to, in the order of their starts."""
    own = _FOLDER.match(path.parent.name)
    if own is None or path.suffix != ".wandb":
        return [path]
    found: list[tuple[str, Path]] = []
    try:
        for place, folder in enumerate(path.parent.parent.iterdir()):
            match = _FOLDER.match(folder.name)
            file = folder / path.name
            if place >= _MOST_ENTRIES:
                break
            if match and match[2] == own[2] and not folder.is_symlink() and file.is_file():
                found.append((match[1], file))
    except OSError:
        return [path]
    files = [file for _, file in sorted(found)][-MOST_FILES:]
    return files if path in files else [path]


def config_beside(path: Path) -> dict[str, Any]:
    """Return the configuration in the `config.yaml` beside a file, as W&B writes it.

    Each name stands by itself, and its `value` below it; values that are no plain ones are left.
    """
    try:
        with (path.parent / "config.yaml").open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return {}
    found: dict[str, Any] = {}
    name = ""
    for line in text.splitlines():
        entry, value = _ENTRY.match(line), _VALUE.match(line)
        if entry:
            name = entry[1]
        elif value and name:
            plain = value[1].strip().strip("'\"")
            found[name] = _WORDS.get(plain.lower(), plain)
            name = ""
    return found
