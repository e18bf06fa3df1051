"""The readers of what trainers print: to a console, into a notebook, as the bars of Keras.

Their modules are imported when a file may be theirs, because most logs are none of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.readers.files.lines import may_be_log
from ftadvise.readers.source import Reader

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run


def _sniff_console(source: Source) -> float:
    if not may_be_log(source):
        return 0.0
    from ftadvise.readers.console_logs import hf_console

    return hf_console.sniff(source)


def _read_console(source: Source) -> list[Run]:
    from ftadvise.readers.console_logs import hf_console

    return hf_console.read(source)


def _sniff_keras(source: Source) -> float:
    if b"Epoch " not in source.head:
        return 0.0
    from ftadvise.readers.console_logs import keras_progress

    return keras_progress.sniff(source)


def _read_keras(source: Source) -> list[Run]:
    from ftadvise.readers.console_logs import keras_progress

    return keras_progress.read(source)


def _sniff_notebook(source: Source) -> float:
    marks = (b'"cell', b'"nbformat', b'"kernelspec"')
    if not (source.name.endswith(".ipynb") or any(mark in source.head for mark in marks)):
        return 0.0
    from ftadvise.readers.console_logs import notebook

    return notebook.sniff(source)


def _read_notebook(source: Source) -> list[Run]:
    from ftadvise.readers.console_logs import notebook

    return notebook.read(source)


READERS = [
    Reader(
        name="hf_console",
        description="console logs of transformers, TRL, Axolotl, LLaMA-Factory, Unsloth",
        sniff=_sniff_console,
        read=_read_console,
    ),
    Reader(
        name="keras_progress",
        description="what Keras prints while it trains: Epoch 1/3, loss: 0.38 - val_loss: 0.32",
        sniff=_sniff_keras,
        read=_read_keras,
    ),
    Reader(
        name="notebook",
        description="Jupyter notebooks: tables of transformers, printed dicts, bars of Keras",
        sniff=_sniff_notebook,
        read=_read_notebook,
    ),
]
