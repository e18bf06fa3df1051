"""Reads console logs of mlx-lm and of the LoRA example it came from.

Starting training..., iters: 600
Iter 1: Val loss 2.133, Val took 11.913s
Iter 10: Train loss 2.003, Learning Rate 1.000e-05, It/sec 0.120, Tokens/sec 115.8, ...
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.columns import Columns, runs_in_columns
from ftadvise.readers.text_logs.forms import NUMBER, Form, form_lines, mark

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_ITER = r"\bIter (?P<iter>\d{1,12})(?: \(Opt \d{1,12}\))?: "
_MARK = re.compile(
    r"^\s{0,8}(?:\[?\w{0,20}\]? )?Iter \d{1,12}(?: \(Opt \d{1,12}\))?: (?:Train|Val) loss "
    r"[\w.+-]{1,40}[, ]",
    re.MULTILINE,
)
_HINT = re.compile(r"Iter \d|iters: ")
_FORMS = (
    Form(
        "train",
        re.compile(
            rf"{_ITER}Train loss (?P<train>{NUMBER})(?:.{{0,200}}?Learning Rate (?P<lr>{NUMBER}))?"
        ),
        {"iter": "Iter", "train": "Train loss", "lr": "Learning Rate"},
    ),
    Form(
        "val",
        re.compile(rf"{_ITER}Val loss (?P<val>{NUMBER})"),
        {"iter": "Iter", "val": "Val loss"},
    ),
    Form(
        "planned",
        re.compile(r"Starting training[ .]{0,6},? iters: (?P<planned>\d{1,12})\b"),
        {"planned": "max_steps"},
    ),
)


def sniff(source: Source) -> float:
    """Return 0.9 for its lines at the beginning or the end of the file."""
    return 0.9 if mark(source, _MARK) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in the log.

    Raises:
        LogError: FT405 no loss in it.
    """
    columns = Columns()
    planned: dict[str, float] = {}
    for line in form_lines(source, _HINT, _FORMS):
        if line.form.name == "planned":
            planned = line.row
        else:
            columns.add({**line.row, **planned})
    return runs_in_columns(source, columns)
