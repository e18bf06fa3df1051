"""Reads log files and console logs of torchtune.

    Step 25 | loss:1.0934 lr:2e-05 tokens_per_second_per_gpu:1203.4
    1|25|Loss: 1.0934: 5%|5| 25/500 [00:31<09:51, 1.25s/it]

The first is written to a file, the second (epoch, step and loss before a progress bar) to the
console.
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
    r"(?:^|\r)\s{0,8}(?:Step \d{1,12} \| \w{1,60}:[-\w.+]{1,40}(?: \w{1,60}:[-\w.+]{1,40}){0,50} ?$"
    r"|\d{1,9}\|\d{1,12}\|Loss: )",
    re.MULTILINE,
)
_HINT = re.compile(r"Step \d|\|Loss: ")
_FORMS = (
    Form("file", re.compile(r"Step (?P<step>\d{1,12}) \|"), {"step": "step"}, rest=True),
    Form(
        "bar",
        re.compile(
            rf"(?P<epoch>\d{{1,9}})\|(?P<step>\d{{1,12}})\|Loss: (?P<loss>{NUMBER})"
            rf"(?:\|Val: (?P<val>{NUMBER}))?"
            r"(?::\s{0,8}\d{1,3}%\|[^|]{0,300}\|\s{0,8}(?P<done>\d{1,12})/(?P<all>\d{1,12}))?"
        ),
        {"epoch": "epoch", "step": "step", "loss": "Loss", "val": "val_loss"},
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
    for line in form_lines(source, _HINT, _FORMS):
        row = dict(line.row)
        done, steps = (line.match.groupdict().get(name) for name in ("done", "all"))
        if done and steps and float(steps) >= float(done) > 0:
            row["epoch"] = row["epoch"] - 1 + float(done) / float(steps)
        elif "epoch" in row:
            del row["epoch"]  # the epoch in progress, without its length
        columns.add(row)
    if columns.count("Loss") >= columns.count("loss"):
        columns.drop("loss")  # the same losses, of fewer steps
    else:
        columns.drop("Loss")
    return runs_in_columns(source, columns)
