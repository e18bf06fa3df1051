"""The rows that a trainer printed, and where its progress bar stood beside each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise.readers.series.tables import number

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDED = 0.0051  # half of the last digit of an epoch rounded to 0.01
_NEAR = 8  # rows back among which another process repeats a row


@dataclass(frozen=True)
class Bar:
    """A progress bar without a name: `120/360`."""

    step: int
    total: int


@dataclass
class Moment:
    """A printed row and where the progress bar stood.

    Attributes:
        row: The row.
        role: "train" or "eval".
        process: The process that printed it, where a prefix says so.
        before: The last bar before it.
        after: The first bar after it; tqdm draws it anew below each row, up to date.
    """

    row: dict[str, Any]
    role: str
    process: str = ""
    before: Bar | None = None
    after: Bar | None = None

    @property
    def epoch(self) -> float | None:
        """The epoch, None where it is unknown."""
        return finite(self.row.get("epoch"))

    @property
    def step(self) -> float | None:
        """The step, None where it is unknown."""
        return finite(self.row.get("step", self.row.get("global_step")))


def finite(value: Any) -> float | None:
    """Return `value` as a float, or None where it is no finite number."""
    plain = number(value)
    return plain if plain is not None and math.isfinite(plain) else None


def without_repeats(moments: Sequence[Moment], notes: list[str]) -> list[Moment]:
    """Return the moments without those that another process or logger printed again."""
    kept: list[Moment] = []
    latest: dict[str, list[Moment]] = {"train": [], "eval": []}
    twins: list[Moment] = []
    dropped = 0
    for moment in moments:
        near = latest[moment.role][-_NEAR:]
        if any(_other_process(moment, earlier) for earlier in near):
            dropped += 1
            continue
        if near and _same_in_other_words(near[-1], moment):
            near[-1].row = {**moment.row, **near[-1].row}
            near[-1].after = near[-1].after or moment.after
            dropped += 1
            continue
        if any(_twin(earlier, moment) for earlier in near):
            twins.append(moment)
        latest[moment.role].append(moment)
        kept.append(moment)
    # Rounded rows may be equal by chance; rows that all come twice are not.
    if twins and 2.2 * len(twins) >= len(kept):
        gone = set(map(id, twins))
        kept = [moment for moment in kept if id(moment) not in gone]
        dropped += len(twins)
    if dropped:
        notes.append(f"{dropped} rows were printed again by another process or logger; left out.")
    return kept


def _other_process(moment: Moment, earlier: Moment) -> bool:
    return bool(
        moment.process
        and earlier.process
        and moment.process != earlier.process
        and moment.row.get("epoch") == earlier.row.get("epoch")
        and moment.row.keys() == earlier.row.keys()
    )


def _same_in_other_words(earlier: Moment, moment: Moment) -> bool:
    """Whether a second logger printed the row with fewer keys or digits."""
    if moment.row.keys() == earlier.row.keys() or _moved(earlier, moment):
        return False
    first, second = earlier.epoch, moment.epoch
    if first is None or second is None or abs(first - second) > ROUNDED:
        return False
    shared = [
        (finite(earlier.row[key]), finite(moment.row[key]))
        for key in earlier.row.keys() & moment.row.keys() - {"epoch"}
    ]
    known = [(a, b) for a, b in shared if a is not None and b is not None]
    return bool(known) and all(math.isclose(a, b, rel_tol=2e-3, abs_tol=6e-5) for a, b in known)


def _twin(earlier: Moment, moment: Moment) -> bool:
    return earlier.row == moment.row and not _moved(earlier, moment)


def _moved(earlier: Moment, moment: Moment) -> bool:
    return bool(earlier.after and moment.after and earlier.after.step < moment.after.step)
