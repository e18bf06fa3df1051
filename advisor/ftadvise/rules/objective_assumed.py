"""The log has several losses, and which one was trained on cannot be told.

What it means
-------------
Several series in the log may as well be the train loss, or the eval loss: a generator and a
discriminator, the parts of a sum without the sum. One of them was taken.

Why it matters
--------------
The advice is about that series alone. Where another one is the objective, it has another curve,
another best epoch and another noise.

Example
-------
    FT108 warning: The train loss was taken from g_loss; d_loss and cycle_loss may as well be
    meant.

What to do
----------
Name the one that you mean: `--key NAME` for the train loss, `--eval-key NAME` for the eval loss.
Log the sum that is trained on as `loss` to leave nothing open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.rules.case import Case, Finding
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.run import Series

CODE = "FT108"
NAME = "objective-assumed"
MOST_NAMED = 5

_FLAGS = {"train": "--key", "eval": "--eval-key"}


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding for each series that was chosen among others as likely."""
    for role, series in (("train", case.run.train), ("eval", case.run.eval)):
        if len(series) and series.rivals:
            level = "warning" if case.fit.target == role else "info"
            yield _finding(role, series, level)


def _finding(role: str, series: Series, level: str) -> Finding:
    taken = clean(series.key or "a series without a name", 60)
    names = [clean(name, 60) for name in series.rivals[:MOST_NAMED]]
    if len(series.rivals) > MOST_NAMED:
        names.append(f"{len(series.rivals) - MOST_NAMED} more")
    others = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return Finding(
        CODE,
        level,
        f"The {role} loss was taken from {taken}; {others} may as well be meant.",
        {"taken": taken, "others": len(series.rivals), "series": role},
        f"Name the series that you mean with {_FLAGS[role]}, as in {_FLAGS[role]} {names[0]}.",
    )
