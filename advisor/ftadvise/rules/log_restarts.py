"""The log goes back in time: a run was started or resumed again.

What it means
-------------
The step in the log falls back at least once, because a run was resumed from a checkpoint or the
same file was written by several runs. A resumed run is joined, its rows in place of those that it
ran again; of several runs only the last one is used.

Why it matters
--------------
If several runs are in one file, the advice is about the last one only. If runs were joined that do
not belong together, their curve is none.

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
        times = count(restarts, "time")
        message = (
            f"The step goes back {times}, as it does when a run is resumed: from there on the later "
            "rows replace the earlier."
        )
        fix = "Check that this is one run, resumed, and not several in one file."
        if case.run.source.others:
            message = (
                f"The log starts again {times}; only the part after the last restart is used."
            )
            fix = "Check that the last part is the run that you mean."
        yield Finding(CODE, "info", message, {"restarts": restarts}, fix)
