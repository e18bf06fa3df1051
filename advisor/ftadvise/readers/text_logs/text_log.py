"""Reads losses from free text, as training scripts print it: `Epoch 3/10 - train loss: 0.52`.

The last resort for text: whatever has a reader of its own is read by that. Prose, source code,
settings and data are refused, because a number beside the word "loss" is no history.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.files.lines import ends_of, lines_of, may_be_log
from ftadvise.readers.series.columns import runs_in_columns
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.text_logs.other_words import LOSS_ABROAD
from ftadvise.readers.text_logs.text_choice import Chosen, choose
from ftadvise.readers.text_logs.text_clock import columns_of
from ftadvise.readers.text_logs.text_lines import HINT, collect
from ftadvise.readers.text_logs.text_tables import HINT as TABLE_HINT
from ftadvise.readers.text_logs.text_tables import tables_in
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.readers.text_logs.text_series import Collected
    from ftadvise.run import Run

UNTIMED = 5  # losses without step or epoch that are believed to be a history
_LOSS = re.compile(
    rf"loss|nll|elbo|xent|entropy|mse\b|bce\b|\bcost after|{LOSS_ABROAD}", re.IGNORECASE
)
_HELPS = "Give the log of one run with its losses, such as trainer_state.json or a CSV of metrics."


def sniff(source: Source) -> float:
    """Return 0.15 for plain text that speaks of a loss, and 0 for JSON, HTML and binary files."""
    if not may_be_log(source):
        return 0.0
    text = ends_of(source)
    return 0.15 if _LOSS.search(text) and any(mark in text for mark in "0123456789") else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in a text log.

    Raises:
        LogError: FT405 no history, FT406 a history of something else, FT404 no text log at all.
    """
    if not may_be_log(source):
        raise LogError(f"{source.label}: no text log", code="FT404")
    found = collect(lines_of(source, HINT), source.wanted)
    chosen = choose(found, source.wanted)
    table = tables_in(lines_of(source, TABLE_HINT))
    if table is not None and table.points > len(chosen):
        return runs_in_columns(source, table.columns, table.notes, table.epochs)
    _refuse_what_is_no_history(source, found, chosen)
    columns = columns_of(found, chosen)
    names = [series.name for series in found.series.values()]
    return runs_in_columns(source, columns, chosen.notes, _planned(found, chosen), others=names)


def _refuse_what_is_no_history(source: Source, found: Collected, chosen: Chosen) -> None:
    lead = chosen.train or chosen.eval
    if lead is None or len(chosen) < 2:
        raise _nothing(source, found, len(chosen))
    between = found.moments.source[lead.lines[-1]] - found.moments.source[lead.lines[0]]
    if 5 * len(chosen) < found.refused or between > len(chosen):
        raise LogError(
            f"{source.label}: text that mentions losses, such as prose or source code, no log",
            code="FT405",
            hint=_HELPS,
        )
    values = np.frombuffer(lead.values)
    if not values.any():  # train_loss = 0.0, as source code says before it trains
        raise _nothing(source, found, len(chosen))
    lines = np.frombuffer(lead.lines, dtype=np.int64)
    moments = found.moments
    times = [np.frombuffer(axis)[lines] for axis in (moments.epoch, moments.step, moments.batch)]
    moves = any(np.unique(axis[np.isfinite(axis)]).size > 1 for axis in times)
    timeless = not any(np.isfinite(axis).any() for axis in times)
    # In other languages the word for a loss means money and waste as well.
    plain = meaning(lead.name).role != "other"
    if not moves and not (timeless and plain and lines.size >= UNTIMED):
        raise _nothing(source, found, len(chosen))


def _nothing(source: Source, found: Collected, points: int) -> LogError:
    logged = [name for name, times in found.other.items() if times > 1]
    if not points and logged:
        names = ", ".join(clean(name, 60) for name in logged[:6])
        return LogError(
            f"{source.label}: metrics but no loss among them: {names}",
            code="FT406",
            hint=f"Log the train and eval loss. {_HELPS}",
        )
    what = "single values, no history of a loss" if points else "no line with a loss"
    return LogError(f"{source.label}: {what} in this text", code="FT405", hint=_HELPS)


def _planned(found: Collected, chosen: Chosen) -> float | None:
    """Return the planned epochs; `Epoch 0/24` counts from 0 to 24."""
    lead = chosen.train or chosen.eval
    if found.epochs is None or lead is None:
        return None
    epoch = np.frombuffer(found.moments.epoch)
    known = epoch[np.isfinite(epoch)]
    from_zero = bool(known.size) and known.min() == 0 and known.max() == found.epochs
    return found.epochs + 1 if from_zero else found.epochs
