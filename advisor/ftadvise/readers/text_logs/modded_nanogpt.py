"""Reads logs of modded-nanogpt and its relatives, which begin with the source code of the run.

    step:125/1750 val_loss:4.6555 train_time:12222ms step_avg:97.78ms
    step:126/1750 train_loss:4.5891 train_time:12249ms step_avg:97.21ms

Most versions print no train loss.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.columns import Columns, runs_in_columns
from ftadvise.readers.text_logs.forms import NUMBER, Form, form_lines, mark

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_MARK = re.compile(
    r"^\s{0,8}step:\d{1,12}/\d{1,12} (?:(?:val|train)_loss:[\w.+-]{1,40}|train_time:\d)",
    re.MULTILINE,
)
_HINT = re.compile(r"step:\d")
_FORMS = (
    Form(
        "losses",
        re.compile(
            r"step:(?P<step>\d{1,12})/(?P<all>\d{1,12})"
            rf"(?: train_loss:(?P<train>{NUMBER}))?(?: val_loss:(?P<val>{NUMBER}))?"
            rf"(?: train_loss:(?P<after>{NUMBER}))?"
        ),
        {
            "step": "step", "all": "max_steps", "train": "train_loss", "after": "train_loss",
            "val": "val_loss",
        },
    ),
)  # fmt: skip


def sniff(source: Source) -> float:
    """Return 0.85 for its lines at the beginning or the end of the file."""
    return 0.85 if mark(source, _MARK) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in the log.

    Raises:
        LogError: FT405 no loss in it.
    """
    columns = Columns()
    for line in form_lines(source, _HINT, _FORMS):
        if len(line.row) > 2:  # not the many lines that tell the time of a step alone
            columns.add(line.row)
    return runs_in_columns(source, columns)
