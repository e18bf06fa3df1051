"""W&B runs, read without wandb: offline files, and the history and summary of older versions.

`datastore` finds the records of a `.wandb` file, `record` reads what stands in them, `axes` decides
what W&B's own step counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ftadvise

if TYPE_CHECKING:
    from ftadvise.readers.source import Reader


@ftadvise.hookimpl
def register_readers() -> list[Reader]:
    """Give ftadvise the reader."""
    from ftadvise_plugins.wandb.reader import READER

    return [READER]
