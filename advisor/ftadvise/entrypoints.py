"""Finds the entry points of plugins without `importlib.metadata`.

The import of that module alone takes longer than all of `ftadvise --help` may. This one reads the
same files in the same places: `entry_points.txt` in the `*.dist-info` and `*.egg-info` folders on
`sys.path`. A distribution that is found twice counts once, the first in the path. Nothing is taken
from the folder in which a command is given: that may be anybody's, with logs to look at.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EntryPoint:
    """One entry point.

    Attributes:
        name: What the plugin is called.
        value: The module to import, or `module:attribute`.
        distribution: Name of the distribution it comes from.
        version: Version of the distribution.
    """

    name: str
    value: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import what the entry point names."""
        module, _, attributes = self.value.partition(":")
        found: Any = importlib.import_module(module.strip())
        for attribute in filter(None, attributes.strip().split(".")):
            found = getattr(found, attribute)
        return found


def entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group, sorted by name."""
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for folder in _metadata_folders():
        name, version = _name_and_version(os.path.basename(folder))  # noqa: PTH119 - pathlib is slow to load
        key = name.lower().replace("-", "_").replace(".", "_")
        if key in seen:
            continue
        seen.add(key)
        found += [EntryPoint(n, v, name, version) for n, v in _entries(folder, group)]
    return sorted(found, key=lambda entry: entry.name)


def _metadata_folders() -> Iterator[str]:
    for number, place in enumerate(sys.path):
        if number == 0 and _only_where_we_are(place):
            continue
        try:
            with os.scandir(place or ".") as entries:
                names = sorted(e.name for e in entries)
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                yield os.path.join(place or ".", name)  # noqa: PTH118


def _only_where_we_are(first: str) -> bool:
    """Say whether Python put the working directory first, as `python -m ftadvise` makes it do."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    here = os.path.abspath(first)  # noqa: PTH100 - pathlib is slow to load
    return not sys.flags.safe_path and here == os.getcwd() != home  # noqa: PTH109


def _name_and_version(folder: str) -> tuple[str, str]:
    """Split `name-1.2.3.dist-info`; an `.egg-info` folder may have no version."""
    name, _, version = folder.rpartition(".")[0].partition("-")
    return name, version.partition("-")[0]


def _entries(folder: str, group: str) -> Iterator[tuple[str, str]]:
    try:
        with open(os.path.join(folder, "entry_points.txt"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            text = file.read()
    except (OSError, ValueError):
        return
    inside = False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line == f"[{group}]"
        elif inside and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.partition("[")[0].strip()
