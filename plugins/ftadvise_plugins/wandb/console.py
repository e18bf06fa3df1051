"""Runs in what a W&B run printed, for those that logged nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.files.spool import TemporaryLog
from ftadvise.readers.reading import runs_in_source
from ftadvise.readers.source import Source

if TYPE_CHECKING:
    from ftadvise.run import Run

_NOTE = "No metrics were logged to W&B; read from what the run printed."


def runs_printed(source: Source, text: bytes) -> list[Run]:
    """Return the runs in console output, none where no reader finds one."""
    if not text.strip():
        return []
    try:
        log = TemporaryLog("output.log")
        log.path.write_bytes(text)
        printed = Source(log.path, source.label, source.wanted)
        printed.keep(log)
        runs = runs_in_source(printed, source.label)
    except (OSError, LogError):
        return []
    return [replace(run, notes=(_NOTE, *run.notes)) for run in runs]
