"""Something that the log does not say had to be assumed.

What it means
-------------
The log leaves something open, most often the time of its points, and the reader filled it in.
When the log tells neither epochs nor the steps in an epoch, "epoch" means a share of this log.

Why it matters
--------------
The advice counts in epochs. When the assumption is wrong, all its epochs are wrong by the same
factor.

Example
-------
    FT106 info: No step or epoch in the log: points are taken as epochs 1, 2, 3, ...

What to do
----------
Check the sentence. Log `epoch` or `step` beside every loss to leave nothing open. Where you know
how many steps make an epoch, `--steps-per-epoch N` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import short
from ftadvise.readers.series.passes import ASSUMED
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import axis_known, last_epoch
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT106"
NAME = "axis-assumed"
FIX = "Give --steps-per-epoch N if you know it, and log the epoch beside every loss."


def check(case: Case) -> Iterator[Finding]:
    """Yield one finding with all assumptions."""
    notes = [clean(note, 300) for note in case.run.notes]
    known = axis_known(case)
    numbered = any(note.startswith(ASSUMED) for note in notes)
    if not known:
        length = short(last_epoch(case))
        notes.append(
            "The log does not tell how many passes over the data were made: an epoch below is a "
            f"share of this log, which ends at {length}."
        )
    if notes:
        yield Finding(
            CODE,
            "info",
            " ".join(notes),
            {"assumptions": len(notes), "epochs_known": "yes" if known else "no"},
            "" if known and not numbered else FIX,
        )
