"""MLflow's stores, read without mlflow: the folders of `mlruns` and the database `mlflow.db`.

`files` reads the text files of a run, `database` the tables of SQLite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ftadvise

if TYPE_CHECKING:
    from ftadvise.readers.source import Reader


@ftadvise.hookimpl
def register_readers() -> list[Reader]:
    """Give ftadvise the reader."""
    from ftadvise_plugins.mlflow.reader import READER

    return [READER]
