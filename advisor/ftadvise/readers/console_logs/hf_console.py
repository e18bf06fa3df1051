"""Reads what the trainers of Hugging Face print to a console: dicts among progress bars.

transformers, TRL, Axolotl, LLaMA-Factory and Unsloth print one dict per log and one per
evaluation, without the step. The steps come from the progress bar beside them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.console_logs.console import console_of
from ftadvise.readers.console_logs.trainings import runs_of_trainings
from ftadvise.readers.json_logs import documents
from ftadvise.readers.json_logs.documents import opening

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_LOSS_DICT = re.compile(r"\{\s{0,20}['\"](?:eval_|train_)?loss['\"]\s{0,5}:\s{0,5}['\"]?[-+\d.ni]")
_LOSS_KEY = re.compile(r"(['\"])(?:[\w/.-]{0,40}[_/])?loss['\"]\s{0,5}:\s{0,5}['\"]?[-+\d.nit]")


def sniff(source: Source) -> float:
    """Return 0.85 for a dict that begins with a loss, less for a loss elsewhere in one."""
    head = opening(source)
    if "\0" in head or documents.sniff(source) >= 0.5:
        return 0.0
    asked = [f"'{name}':" for name in (source.wanted.key, source.wanted.eval_key) if name]
    for text in (head, source.text):  # warnings and bars may fill the head
        if _LOSS_DICT.search(text):
            return 0.85
        if any(name in text for name in asked):
            return 0.6
        key = _LOSS_KEY.search(text)
        if key is not None:  # in double quotes it may be JSON, which has a reader of its own
            return 0.6 if key[1] == "'" else 0.3
    return 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in a console log.

    Raises:
        LogError: FT405 no history in it, FT406 a history of something else.
    """
    console = console_of([source.text], source.wanted)
    trainings = console.finished()
    if not trainings:
        ended = sum(opened.ended for opened in console.trainings)
        raise LogError(
            f"{source.label}: no loss history: "
            + (f"final values of {ended} trainings only" if ended else "no printed loss in it"),
            code="FT405",
            hint="Log with logging_steps=10 or so, or give trainer_state.json of a checkpoint.",
        )
    for number, training in enumerate(trainings, 1):
        training.name = f"training {number}"
    return runs_of_trainings(source, trainings)
