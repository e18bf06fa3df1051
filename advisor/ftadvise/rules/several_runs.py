"""There are several runs in the file or folder, and one of them was taken.

What it means
-------------
More than one run was found in the log or folder. The advice is about one of them: in a file the
one with most points, in a folder the one that was written last, of those with a train and an eval
loss where there are any.

Why it matters
--------------
It may not be the one that you mean.

Example
-------
    FT107 info: Of the 3 runs found here, 'lr-2e-5' was taken. The others: 'lr-1e-5', 'lr-5e-5'.

What to do
----------
Pick another one with `--run NAME`, a part of its name is enough, or take each with `--all`.
`ftadvise analyze --list` shows them with their points, epochs and dates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.rules.case import Case, Finding
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT107"
NAME = "several-runs"
MOST_NAMED = 5


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the source has other runs."""
    others = case.run.source.others
    if not others:
        return
    names = [f"'{clean(name, 60)}'" for name in others[:MOST_NAMED]]
    if len(others) > MOST_NAMED:
        names.append(f"and {len(others) - MOST_NAMED} more")
    taken = clean(case.run.source.run, 60)
    which = f"'{taken}'" if taken else "one without a name"
    yield Finding(
        CODE,
        "info",
        f"Of the {len(others) + 1} runs found here, {which} was taken. "
        f"The others: {', '.join(names)}.",
        {"taken": taken, "others": len(others)},
        "Pick another one with --run NAME, or take each with --all.",
    )
