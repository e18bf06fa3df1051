"""Reads console logs of NeMo 2, which prints one line per step.

    Training epoch 0, iteration 9/99 | lr: 3e-07 | global_batch_size: 8 | global_step: 9 |
    reduced_train_loss: 11.03 | train_step_timing in s: 4.1 | consumed_samples: 80 | val_loss: 10.9

(one line). The last `val_loss` is repeated on every line until the next evaluation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.columns import Columns, runs_in_columns
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.text_logs.forms import Form, form_lines, mark

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_LINE = (
    r"Training epoch (?P<epoch>\d{1,9}), iteration (?P<iteration>\d{1,12})/(?P<last>\d{1,12}) \|"
)
_MARK = re.compile(_LINE)
_STEP = re.compile(r"global_step: (\d{1,12})")
_HINT = re.compile(r"Training epoch")
_FORMS = (
    Form(
        "train", re.compile(_LINE), {"iteration": "iteration", "last": "max_steps"}, rest=True
    ),
)  # fmt: skip


def sniff(source: Source) -> float:
    """Return 0.9 for its lines at the beginning or the end of the file."""
    return 0.9 if mark(source, _MARK) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in the log.

    Raises:
        LogError: FT405 no loss in it.
    """
    columns = Columns()
    shown: dict[str, float] = {}
    for line in form_lines(source, _HINT, _FORMS):
        row = dict(line.row)
        step = _STEP.search(line.match.string, line.match.end())
        iteration = row.pop("iteration", 0.0)
        row["global_step"] = float(step[1]) if step else iteration
        row["max_steps"] += 1  # the last iteration is told, counted from 0
        for name in list(row):
            if meaning(name).role == "eval":
                if shown.get(name) == row[name]:
                    del row[name]
                else:
                    shown[name] = row[name]
        columns.add(row)
    return runs_in_columns(source, columns)
