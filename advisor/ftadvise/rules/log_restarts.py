"""The log goes back in time: a run was started or resumed again.

What it means
-------------
The step in the log falls back at least once, because a run was resumed from a checkpoint or the
same file was written by several runs. Only the part after the last restart is used.

Why it matters
--------------
If the parts belong to one run, its beginning is missing here. If they belong to different runs,
the advice is about the last one only.

Example
-------
    FT105 info: The log starts again 2 times; only the part after the last restart is used.

What to do
----------
Check that the last part is the run that you mean, or give each run a log of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import count
from ftadvise.rules.case import Case, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT105"
NAME = "log-restarts"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the step went back."""
    restarts = case.run.restarts
    if restarts > 0:
        yield Finding(
            CODE,
            "info",
            f"The log starts again {count(restarts, 'time')}; only the part after the last "
            "restart is used.",
            {"restarts": restarts},
            "Check that the last part is the run that you mean.",
        )
