"""Reads console logs of nanoGPT and of scripts that print like it.

    step 250: train loss 1.9712, val loss 2.0413
    iter 260: loss 1.9204, time 25.13ms, mfu 17.31%

The step lines estimate both losses over many batches, the iter lines show one batch. The log file
of build-nanogpt is read too (`250 val 6.1049`, `250 train 6.120312`, one value per line).
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
    r"^[ \t]{0,40}(?:iter \d{1,12}: loss [\w.+-]{1,40}, time:? ?[\d.]{1,20}"
    r"|step \d{1,12}: train loss [\w.+-]{1,40}, val loss [\w.+-]{1,40})",
    re.MULTILINE,
)
_LOG_FILE = re.compile(r"^\d{1,12} (?:train|val) \d{1,4}\.\d{2,}\s*$", re.MULTILINE)
_HINT = re.compile(r"loss|train|val|max_iters")
_FORMS = (
    Form(
        "estimates",
        re.compile(
            rf"step (?P<step>\d{{1,12}}): train loss (?P<train>{NUMBER}), val loss (?P<val>{NUMBER})"
        ),
        {"step": "step", "train": "train loss", "val": "val loss"},
    ),
    Form(
        "batch",
        re.compile(rf"iter (?P<iter>\d{{1,12}}): loss (?P<loss>{NUMBER})"),
        {"iter": "step", "loss": "loss"},
    ),
    Form(
        "val",
        re.compile(rf"(?:step|iter) (?P<step>\d{{1,12}}): val loss (?P<val>{NUMBER})"),
        {"step": "step", "val": "val loss"},
    ),
    Form(
        "train in file",
        re.compile(rf"^(?P<step>\d{{1,12}}) train (?P<train>{NUMBER})\s*$"),
        {"step": "step", "train": "train"},
    ),
    Form(
        "val in file",
        re.compile(rf"^(?P<step>\d{{1,12}}) val (?P<val>{NUMBER})\s*$"),
        {"step": "step", "val": "val"},
    ),
    Form(
        "planned",
        re.compile(r"\bmax_iters\s{0,4}=\s{0,4}(?P<planned>\d{1,12})\b"),
        {"planned": "max_steps"},
    ),
)
# The names of the log file of build-nanogpt, which speaks of losses alone.
_RENAMED = {"train": "train loss", "val": "val loss"}


def sniff(source: Source) -> float:
    """Return 0.85 for its lines at the beginning or the end of the file."""
    return 0.85 if mark(source, _MARK) or mark(source, _LOG_FILE, 3) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in the log.

    Raises:
        LogError: FT405 no loss in it.
    """
    rows: list[dict[str, float]] = []
    estimates = 0
    planned: float | None = None
    for line in form_lines(source, _HINT, _FORMS):
        if line.form.name == "planned":
            planned = line.row["max_steps"]
            continue
        estimates += line.form.name == "estimates"
        rows.append({_RENAMED.get(name, name): value for name, value in line.row.items()})
    columns = Columns()
    batches = 0
    for row in rows:
        if estimates > 1 and "loss" in row:  # of one batch; the estimates are of many
            batches += 1
            continue
        columns.add(row if planned is None else {**row, "max_steps": planned})
    notes: list[str] = []
    if batches:
        notes.append(
            f"Took the train loss beside the evaluations ({estimates} points), which is a mean "
            f"over batches as they are; the losses of single batches ({batches} points) are left."
        )
    return runs_in_columns(source, columns, notes)
