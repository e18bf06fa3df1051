"""Reads console logs of LitGPT and lit-gpt.

    Epoch 1 | iter 64 step 4 | loss train: 1.234, val: n/a | iter time: 123.45 ms (step)
    iter 100: val loss 1.2345, val time: 1234.56 ms
    Epoch 1 | iter 800 step 50 | loss train: 1.106, val: 1.219 | iter time: 120.10 ms (step)

Newer versions repeat the last val loss on every line; older ones print it on a line of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.columns import Columns, runs_in_columns
from ftadvise.readers.text_logs.forms import NUMBER, Form, form_lines, mark

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_MARK = re.compile(r"\biter \d{1,12} step \d{1,12}(?: \| loss train: |: loss )[\w.+-]{1,40}[, ]")
_HINT = re.compile(r"\biter \d")
_FORMS = (
    Form(
        "train",
        re.compile(
            r"(?:Epoch (?P<epoch>\d{1,9}) \| )?iter (?P<iter>\d{1,12}) step (?P<step>\d{1,12})"
            rf"(?: \| loss train: |: loss )(?P<train>{NUMBER})(?:, val: (?P<val>{NUMBER}))?"
        ),
        {"iter": "iter", "step": "step", "train": "loss train", "val": "val loss"},
    ),
    Form(
        "val",
        re.compile(rf"\biter (?P<iter>\d{{1,12}}): val loss (?P<val>{NUMBER})"),
        {"iter": "iter", "val": "val loss"},
    ),
)


def sniff(source: Source) -> float:
    """Return 0.85 for its lines at the beginning or the end of the file."""
    return 0.85 if mark(source, _MARK) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in the log.

    Raises:
        LogError: FT405 no loss in it.
    """
    columns = Columns()
    shown: float | None = None
    step = 0.0
    for line in form_lines(source, _HINT, _FORMS):
        row = dict(line.row)
        row.pop("iter", None)  # micro-batches; the optimizer's steps are told too
        step = row.setdefault("step", step)
        if "val loss" in row:
            if row["val loss"] == shown:
                del row["val loss"]
            else:
                shown = row["val loss"]
        columns.add(row)
    return runs_in_columns(source, columns)
