"""Reads console logs of torchtitan.

step: 10  loss:  7.2459  grad_norm: 22.3750  memory: 61.10GiB(64.81%)  tps: 10,490  mfu: 39.28%
validate step: 10  loss:  7.1022  memory: 41.20GiB(43.61%)  tps: 20,112
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.columns import Columns, runs_in_columns
from ftadvise.readers.text_logs.forms import NUMBER, Form, eval_named, form_lines, mark

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_MARK = re.compile(
    r"step: {1,8}\d{1,12} {1,8}(?:loss|global_avg_loss|\w{1,12} loss): {1,8}[\w.+-]{1,40} "
    r".{0,200}?(?:memory|tps|wps):"
)
_HINT = re.compile(r"step|Train")
_LOSS = rf"step:\s{{1,12}}(?P<step>\d{{1,12}})\s{{1,12}}(?:global_avg_)?loss:\s{{1,12}}(?P<loss>{NUMBER})"
_FORMS = (
    Form(
        "validate", re.compile(rf"validate {_LOSS}"), {"step": "step", "loss": "validate loss"}
    ),
    Form("train", re.compile(_LOSS), {"step": "step", "loss": "loss"}, rest=True),
    Form(
        "planned",
        re.compile(r"(?:total steps |--training\.steps[= ])(?P<planned>\d{1,12})\b"),
        {"planned": "max_steps"},
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
    columns = Columns(eval_named("validate loss"))
    planned: dict[str, float] = {}
    for line in form_lines(source, _HINT, _FORMS):
        if line.form.name == "planned":
            planned = line.row
        else:
            columns.add({**line.row, **planned})
    return runs_in_columns(source, columns)
