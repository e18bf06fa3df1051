"""Reads console logs of Megatron-LM and what grew from it (Megatron-DeepSpeed, GPT-NeoX, Bridge).

 iteration      100/  5000 | consumed samples: 25600 | learning rate: 2.7E-05 | lm loss: 8.1E+00 |
validation loss at iteration 100 | lm loss value: 8.0E+00 | lm loss PPL: 2.9E+03 |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.columns import Columns, runs_in_columns
from ftadvise.readers.text_logs.forms import Form, form_lines, mark

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_ITERATION = r"\biteration\s{1,12}(?P<iteration>\d{1,12})\s{0,12}/\s{0,12}(?P<all>\d{1,12}) \|"
_VALID = r"\bvalid(?:ation)? (?:loss|results?) at "
_MARK = re.compile(
    rf"{_ITERATION} .{{0,3000}}?(?:elapsed time per iteration|consumed samples)"
    rf"|{_VALID}(?:iteration \d|the end of training)"
    r"|^.{0,80}-{10,40} (?:arguments|GPTNeoXArgs|MegatronArgs) -{10,40}\s*$"
    r"|tensor-model-parallel size",
    re.MULTILINE,
)
_HINT = re.compile(r"iteration|valid")
_ROW = {"iteration": "iteration", "all": "max_steps"}
_FORMS = (
    Form("train", re.compile(_ITERATION), _ROW, rest=True),
    Form(
        "test",
        re.compile(
            rf"{_VALID}(?:the )?(?:iteration (?P<iteration>\d{{1,12}})|end of training).{{0,20}}?"
            r"\btest (?:data|set)"
        ),
        _ROW,
        rest=True,
        split="test",
    ),
    Form(
        "valid",
        re.compile(
            rf"{_VALID}(?:the )?(?:iteration (?P<iteration>\d{{1,12}})|end of training)[^|]{{0,60}}"
        ),
        _ROW,
        rest=True,
        split="validation",
    ),
)


def sniff(source: Source) -> float:
    """Return 0.9 for its lines or its list of arguments."""
    return 0.9 if mark(source, _MARK) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in the log.

    Raises:
        LogError: FT405 no loss in it.
    """
    columns = Columns()
    iteration: float | None = None
    for line in form_lines(source, _HINT, _FORMS):
        row = line.row
        if "iteration" in row:
            iteration = row["iteration"]
        if iteration is not None:  # "the end of training" is the last one
            columns.add({**row, "iteration": iteration})
    return runs_in_columns(source, columns)
