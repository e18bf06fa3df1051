"""Reads free text that is part of a log of another kind, such as the output of a notebook's cell."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.source import Source
from ftadvise.readers.wanted import NoSuchSeries

if TYPE_CHECKING:
    from ftadvise.run import Run


def runs_in_text(source: Source, text: str) -> list[Run]:
    """Return the runs that free text tells of, none where it only mentions a loss.

    Args:
        source: The log that the text is a part of, for its name and for the keys wanted of it.
        text: The text.
    """
    from ftadvise.readers.text_logs import text_log  # few notebooks need its patterns

    # What reads a text log reads it from a file, line by line.
    with tempfile.TemporaryDirectory(prefix="ftadvise-") as folder:
        path = Path(folder) / "output.txt"
        path.write_text(text, encoding="utf-8", errors="replace", newline="")
        try:
            return text_log.read(Source(path, source.label, source.wanted))
        except NoSuchSeries:
            raise
        except LogError:
            return []
