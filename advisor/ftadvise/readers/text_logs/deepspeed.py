"""Reads console logs of DeepSpeed's pipeline engine and of DeepSpeed-Chat.

steps: 100 loss: 2.1043 iter time (s): 0.521 samples/sec: 61.4
Beginning of Epoch 1/3, Total Micro Batches 500
Epoch: 0, Step: 10, Rank: 0, loss = 1.9
***** Evaluating perplexity, Epoch 1/3 *****
ppl: 4.21, loss: 1.4375
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
    r"\bsteps?: {1,8}\d{1,12} (?:/ {1,8}\d{1,12} )?loss: [\w.+-]{1,40} .{0,200}?iter time \(s\): "
    r"|\*{5} Evaluating perplexity, Epoch \d{1,9}/\d{1,9} \*{5}"
)
_HINT = re.compile(r"loss|Evaluating|Beginning of")
_FORMS = (
    Form(
        "pipeline",
        re.compile(
            r"\bsteps?: {1,8}(?P<step>\d{1,12})(?: / {1,8}(?P<all>\d{1,12}))? "
            rf"loss: (?P<loss>{NUMBER})"
        ),
        {"step": "steps", "all": "max_steps", "loss": "loss"},
    ),
    Form(
        "chat",
        re.compile(
            r"Epoch: (?P<epoch>\d{1,9}), Step: (?P<step>\d{1,12}),(?: Rank: 0,)?"
            rf" loss ?= ?(?P<loss>{NUMBER})"
        ),
        {"step": "step", "loss": "loss", "epoch": "epoch"},
    ),
    Form(
        "begin",
        re.compile(
            r"Beginning of Epoch \d{1,9}/(?P<epochs>\d{1,9}), Total Micro Batches (?P<all>\d{1,12})"
        ),
        {"epochs": "epochs", "all": "batches"},
    ),
    Form(
        "perplexity of epoch",
        re.compile(r"Evaluating perplexity, Epoch (?P<epoch>\d{1,9})/(?P<all>\d{1,9})"),
        {"epoch": "epoch", "all": "epochs"},
    ),
    Form(
        "perplexity",
        re.compile(rf"^(?:Validation )?ppl: {NUMBER}, (?:eval_)?loss: (?P<val>{NUMBER})"),
        {"val": "eval loss"},
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
    lines = list(form_lines(source, _HINT, _FORMS))
    columns = Columns()
    planned = batches = done = None
    forms = {line.form.name for line in lines}
    in_epochs = "chat" not in forms or "begin" in forms
    for line in lines:
        if line.form.name == "begin":
            planned, batches = line.row["epochs"], line.row["batches"] or None
        elif line.form.name == "perplexity of epoch":
            # "Epoch 0/3" comes before training, "Epoch 1/3" after the first epoch.
            done, planned = line.row["epoch"], line.row["epochs"]
        elif line.form.name == "perplexity" and done is not None:
            if in_epochs or done > 0:
                columns.add({**line.row, "epoch": done - (not in_epochs)})
        elif line.form.name == "chat" and batches:
            part = min((line.row["step"] + 1) / batches, 1.0)
            columns.add({"epoch": line.row["epoch"] + part, "loss": line.row["loss"]})
        elif line.form.name in ("chat", "pipeline"):
            columns.add(line.row)
    return runs_in_columns(source, columns, planned=planned)
