"""Trackio's databases, read without trackio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ftadvise

if TYPE_CHECKING:
    from ftadvise.readers.source import Reader


@ftadvise.hookimpl
def register_readers() -> list[Reader]:
    """Give ftadvise the reader."""
    from ftadvise_plugins.trackio.reader import READER

    return [READER]
