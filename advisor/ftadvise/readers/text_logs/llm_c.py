"""Reads console logs and log files of llm.c.

    val loss 4.512890
    step    1/18865 | loss 11.009724 (+nanz)| norm 15.2 (+nanz)| lr 8.57e-07 | 3102 ms | ...
    step 0: train loss 5.356 (took 42.1 ms)
    s:0 tel:11.0095

An evaluation is printed without its step, after the steps before it. In the log file `trl` is the
train loss and `tel` the held-out one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.columns import Columns, runs_in_columns
from ftadvise.readers.text_logs.forms import (
    NUMBER,
    Form,
    eval_named,
    form_lines,
    mark,
    train_named,
)

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_MARK = re.compile(
    r"^(?:step\s{1,8}\d{1,12}/\d{1,12} ?(?:\| (?:train )?loss [\w.+-]{1,40} .{0,40}\| (?:norm|lr) "
    r"|: train loss [\w.+-]{1,40} \()|step \d{1,12}: train loss [\w.+-]{1,40} \(took "
    r"|s:\d{1,12} (?:trl|tel):[\w.+-]{1,40})",
    re.MULTILINE,
)
_HINT = re.compile(r"loss|^s:\d", re.MULTILINE)
_FORMS = (
    Form(
        "train",
        re.compile(
            r"^step\s{1,8}(?P<step>\d{1,12})(?:/(?P<all>\d{1,12}))?\s?(?:\||:) (?:train )?loss"
            rf"\s{{1,8}}(?P<loss>{NUMBER})(?:.{{0,80}}?\| lr (?P<lr>{NUMBER}))?"
        ),
        {"step": "step", "all": "max_steps", "loss": "train loss", "lr": "lr"},
    ),
    Form("val", re.compile(rf"^val loss:? (?P<val>{NUMBER})"), {"val": "val loss"}),
    Form(
        "train in file",
        re.compile(
            rf"^s:(?P<step>\d{{1,12}}) trl:(?P<trl>{NUMBER})(?:.{{0,40}}? lr:(?P<lr>{NUMBER}))?"
        ),
        {"step": "step", "trl": "trl", "lr": "lr"},
    ),
    Form(
        "val in file",
        re.compile(rf"^s:(?P<step>\d{{1,12}}) tel:(?P<tel>{NUMBER})"),
        {"step": "step", "tel": "tel"},
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
    columns = Columns({**eval_named("tel"), **train_named("trl")})
    done = 0.0
    for line in form_lines(source, _HINT, _FORMS):
        columns.add({"step": done, **line.row})
        if "step" in line.row:  # the version in C counts from 0, the others from 1
            done = line.row["step"] + (line.form.name == "train" and "max_steps" not in line.row)
    return runs_in_columns(source, columns)
