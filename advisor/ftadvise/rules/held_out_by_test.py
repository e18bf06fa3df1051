"""The held-out loss of this log is called that of a test.

What it means
-------------
The log has no validation loss. Its test loss was taken as the loss on held-out data.

Why it matters
--------------
What chooses the number of epochs is no test any more: the loss that is reported in the end, on the
same data, is too good.

Example
-------
    FT109 info: The held-out loss is test_loss, for the log has no validation loss.

What to do
----------
Hold out data for validation, and keep the test data for the end. If the test loss is not meant to
choose anything, name another series with `--eval-key NAME`, or none with `--eval-key none`: the
advice rests on the train loss then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.readers.series.keys import EVAL_WORDS, words
from ftadvise.rules.case import Case, Finding
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT109"
NAME = "test-loss-used"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the eval loss is called one of a test."""
    key = case.run.eval.key or ""
    known = [EVAL_WORDS[word] for word in words(key) if word in EVAL_WORDS]
    if case.fit.target != "eval" or not known or min(known) < EVAL_WORDS["test"]:
        return
    yield Finding(
        CODE,
        "info",
        f"The held-out loss is {clean(key, 60)}, for the log has no validation loss.",
        {"taken": clean(key, 60)},
        "Hold out data for validation; --eval-key names another series, --eval-key none takes none.",
    )
