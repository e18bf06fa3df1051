"""TensorBoard event files, read without tensorboard or tensorflow.

`records` finds the records of a file and `crc32c` checks them; `event` says where the scalars lie
in one, `layouts` reads all that are laid out alike at once, and `points` keeps them in order.
`rows` turns them into the table of a run, `setup` reads the settings that trainers write as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ftadvise

if TYPE_CHECKING:
    from ftadvise.readers.source import Reader


@ftadvise.hookimpl
def register_readers() -> list[Reader]:
    """Give ftadvise the reader."""
    from ftadvise_plugins.tensorboard.reader import READER

    return [READER]
