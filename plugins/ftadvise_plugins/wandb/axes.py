"""What W&B's own `_step` counts: calls of `log`, unless the caller passed a step along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.series.keys import LOSSES

if TYPE_CHECKING:
    from ftadvise.readers.series.tables import Column, Table

OWN = "_step"


def without_own_step(table: Table, counts: bool) -> list[str]:
    """Leave out `_step` where the log says better when something was logged.

    Args:
        table: Rows of a history; changed in place.
        counts: Whether `_step` only numbers the rows.

    Returns:
        What has to be known of it, one sentence each.
    """
    own = next((c for c in table.columns if c.name.rpartition(".")[2] == OWN), None)
    losses = [c for c in table.columns if c.meaning.role in LOSSES]
    if own is None or not losses:
        return []
    others = [c for c in table.columns if c is not own and _times(c, losses)]
    if any(c.meaning.role == "step" and not c.meaning.rank[0] for c in others):
        table.columns = [c for c in table.columns if c is not own]
        return []
    if counts and any(c.meaning.role == "epoch" for c in others):
        table.columns = [c for c in table.columns if c is not own]
        return ["W&B's _step counts what was logged here, not optimizer steps, and is left out."]
    if counts and _together(losses):
        table.columns = [c for c in table.columns if c is not own]
        return ["Every row has a train and an eval loss: the rows are taken for epochs."]
    return []


def _times(column: Column, losses: list[Column]) -> bool:
    """Whether `column` gives the time of at least half of what the longest loss has."""
    if column.meaning.role not in ("step", "epoch"):
        return False
    longest = max(losses, key=lambda c: c.index.size)
    return 2 * int(np.isin(longest.index, column.index).sum()) >= longest.index.size


def _together(losses: list[Column]) -> bool:
    """Whether train and eval loss stand in the same rows."""
    sides = [
        max(
            (c for c in losses if c.meaning.role == role), key=lambda c: c.index.size, default=None
        )
        for role in LOSSES
    ]
    first, second = sides
    if first is None or second is None or first.index.size < 3:
        return False
    return np.array_equal(first.index, second.index)
