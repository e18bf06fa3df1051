"""Puts the files together that hold one run between them, as the readers say which those are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise import plugins
from ftadvise.errors import LogError
from ftadvise.plugin_faults import FAULTS
from ftadvise.readers.folders.walk import lies_in
from ftadvise.readers.reading import sureness
from ftadvise.readers.source import Reader, Source

if TYPE_CHECKING:
    from pathlib import Path

LEAST_SURE = 0.5


def gathered(root: Path, paths: list[Path]) -> list[tuple[Path, ...]]:
    """Return the files in groups of one run each, in the order of the first of each group.

    Args:
        root: The folder that is searched; what a reader gathers outside of it is left out.
        paths: Files of that folder; one with a loss in its name speaks first for its group.
    """
    if not paths:
        return []
    spreading = [
        r for r in plugins.collect("register_readers") if getattr(r, "gather", None) is not None
    ]
    real = root.resolve()
    done: set[Path] = set()
    groups: list[tuple[Path, ...]] = []
    for path in sorted(paths, key=lambda path: "loss" not in path.name.lower()):
        if path in done:
            continue
        groups.append(_group(path, real, spreading))
        done.update((path, *groups[-1]))
    return sorted(groups)


def _group(path: Path, root: Path, spreading: list[Reader]) -> tuple[Path, ...]:
    """Return the files of one run, `path` among them."""
    if not spreading:
        return (path,)
    try:
        source = Source(path)
    except LogError:
        return (path,)
    sure, reader = max(
        ((sureness(reader, source), reader) for reader in spreading), key=lambda pair: pair[0]
    )
    if sure < LEAST_SURE or reader.gather is None:
        return (path,)
    try:
        group = tuple(file for file in reader.gather(path) if lies_in(file, root))
    except FAULTS:
        return (path,)
    return group if path in group else (path, *group)
