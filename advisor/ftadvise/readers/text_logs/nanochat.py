"""Reads console logs of nanochat.

    step 00120/21400 (0.56%) | loss: 5.012345 | lrm: 1.00 | dt: 412.10ms | tok/sec: 1,272,100
    Step 00250 | Validation bpb: 1.1234

Its fine-tuning scripts print `Step 00010/00701 | Training loss: 1.21 | lrm: 0.98` and `Validation
loss`. The train loss of the base script is a moving average.
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
    r"^(?:\[\w{1,8}\] )?\s{0,8}(?:step \d{4,12}(?:/\d{4,12})? \(\s{0,4}[\d.]{1,8}%\) \| loss: "
    r"|Step \d{5,12} \| Validation (?:bpb|loss): |Step \d{5,12}/\d{5,12} \| Training loss: )",
    re.MULTILINE,
)
_HINT = re.compile(r"[Ss]tep \d")
_BPB = "Validation bpb"
_FORMS = (
    Form(
        "train",
        re.compile(
            r"[Ss]tep (?P<step>\d{1,12})(?:/(?P<all>\d{1,12}))?(?: \(\s{0,4}[\d.]{1,8}%\))? \| "
            rf"(?:[Tt]raining )?[Ll]oss: (?P<loss>{NUMBER})"
        ),
        {"step": "step", "all": "max_steps", "loss": "loss"},
    ),
    Form(
        "bpb",
        re.compile(rf"Step (?P<step>\d{{1,12}}) \| Validation bpb: (?P<bpb>{NUMBER})"),
        {"step": "step", "bpb": _BPB},
    ),
    Form(
        "val",
        re.compile(
            rf"Step (?P<step>\d{{1,12}}) \| (?:SFT )?[Vv]al(?:idation)? loss: (?P<val>{NUMBER})"
        ),
        {"step": "step", "val": "Validation loss"},
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
    columns = Columns(eval_named(_BPB))
    for line in form_lines(source, _HINT, _FORMS):
        columns.add(line.row)
    notes: list[str] = []
    if columns.count(_BPB) and not columns.count("Validation loss"):
        notes.append(
            "The held-out loss is in bits per byte, the train loss in nats per token: they fall "
            "and rise alike, but are not to be subtracted."
        )
    return runs_in_columns(source, columns, notes)
