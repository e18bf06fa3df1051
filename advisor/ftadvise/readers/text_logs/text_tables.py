"""Finds tables in text: columns under a header, aligned by spaces or divided by bars.

Notebooks, fastai, model cards and many scripts write them:

    epoch     train_loss  valid_loss  time
    0         2.134       1.987       00:12
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftadvise.readers.series.columns import Columns
from ftadvise.readers.series.keys import LOSSES, meaning
from ftadvise.readers.series.tables import number

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_CELLS = 60
HINT = re.compile(r"oss|OSS|^\s{0,40}[|│┃]|\d")
_RULE = re.compile(r"[-=+|:_*~ \t─═╌╪┼╞╡├┤┬┴]{3,}$")
_WIDE = re.compile(r"\t| {2,}")
_DECIMAL = re.compile(r"\d\.\d")
_RATIO = re.compile(r"(\d{1,12})\s?/\s?(\d{1,12})$")
_NAME = re.compile(r"[A-Za-z#][\w /().%#-]{0,60}$")
_SHORT_NAMES = {"e": "epoch", "#": "step", "ep": "epoch", "tr_loss": "train_loss"}
_SPLITS = ("|", "wide", "any")


@dataclass
class TextTable:
    """The rows of all tables with the same header.

    Attributes:
        columns: Their numbers by the names in the header.
        points: How many losses they hold.
        epochs: Planned epochs, from cells such as `1/3`.
        notes: What had to be assumed.
    """

    columns: Columns = field(default_factory=Columns)
    points: int = 0
    epochs: float | None = None
    notes: list[str] = field(default_factory=list[str])


@dataclass
class _Header:
    names: list[str]
    split: str
    table: TextTable
    gap: int = 0


def tables_in(lines: Iterable[str]) -> TextTable | None:
    """Return the table with most losses among `lines`, or None where there is none."""
    tables: dict[tuple[str, ...], TextTable] = {}
    header: _Header | None = None
    for line in lines:
        if header is not None and _row(header, line):
            continue
        if _may_be_header(line):
            found = _header(line)
            if found is not None:
                names, split = found
                table = tables.setdefault(tuple(names), TextTable())
                header = _Header(names, split, table)
                continue
        if header is not None and not _RULE.match(line):
            header.gap += 1
            if header.gap > 200:
                header = None
    best = max(tables.values(), key=lambda table: table.points, default=None)
    if best is None or best.points < 2:
        return None
    best.notes.append("Read from a table in the text.")
    return best


def _may_be_header(line: str) -> bool:
    return len(line) < 1000 and ("oss" in line or "OSS" in line) and not _DECIMAL.search(line)


def _header(line: str) -> tuple[list[str], str] | None:
    for split in _SPLITS:
        cells = _cells(line, split)
        if not 2 <= len(cells) <= MAX_CELLS:
            continue
        names = [_SHORT_NAMES.get(cell.lower(), cell) for cell in cells]
        if not all(_NAME.match(name) for name in names if name):
            continue
        roles = [meaning(name).role for name in names]
        losses = sum(role in LOSSES for role in roles)
        if losses and any(role in ("step", "epoch") for role in roles):
            return names, split
    return None


def _cells(line: str, split: str) -> list[str]:
    if split == "|":
        return [cell.strip(" *`") for cell in line.strip("| ").split("|")] if "|" in line else []
    return [cell.strip(" *`") for cell in (_WIDE.split(line) if split == "wide" else line.split())]


def _row(header: _Header, line: str) -> bool:
    """Take a row of the table; return whether the line was one."""
    cells = _cells(line[:1000], header.split)
    if not 2 <= len(cells) <= len(header.names):
        return False
    row: dict[str, float] = {}
    losses = 0
    for name, cell in zip(header.names, cells, strict=False):
        value = number(cell.replace(",", "").strip())
        ratio = _RATIO.match(cell)
        role = meaning(name).role
        if ratio and role == "epoch":
            value, header.table.epochs = float(ratio[1]), float(ratio[2])
        if value is not None:
            row[name] = value
            losses += role in LOSSES
        elif role in ("step", "epoch"):
            return False
    if not losses:
        return bool(row) and len(cells) == len(header.names)
    header.table.columns.add(row)
    header.table.points += losses
    header.gap = 0
    return True
