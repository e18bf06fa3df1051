"""The beginning of a table: how it is written, its header, and the first of its rows.

Commas, semicolons (with decimal commas), tabs, bars (Markdown too) and columns aligned by white
space are told apart by which of them makes rows of one length with numbers in them.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.readers.series.keys import meaning
from ftadvise.readers.source import HEAD_BYTES
from ftadvise.readers.table_logs.delimited import (
    DECIMAL_COMMA,
    SPACES,
    THOUSANDS,
    Dialect,
    Row,
    kept_lines,
    parse,
    rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ftadvise.readers.source import Source

DELIMITERS = (",", ";", "\t", "|", SPACES)
SAMPLE = 200  # lines that decide the dialect
_PREAMBLE = 30  # rows before the header: titles, settings

_GAP = re.compile(r" {2,}|\t+")
# "loss: 0.5" is a line of text and no name; "mAP_0.5:0.95" of YOLOv5 is one.
_FORMATTED = re.compile(r"(?:[:=]\s+|(?<![\d.])[:=])[-+]?\.?\d")
_NOT_A_TABLE = ("{", "[", "<", "%", "\x00")


@dataclass(frozen=True)
class Opening:
    """The beginning of a table.

    Attributes:
        dialect: How it is written.
        names: The header; empty when there is none.
        first: The row that is the header, as it is read; None when it stands in a comment.
        body: The rows in the first 64 KiB that follow the header.
        width: Cells in most rows.
    """

    dialect: Dialect
    names: tuple[str, ...]
    first: tuple[str, ...] | None
    body: tuple[Row, ...]
    width: int

    def holds(self, *names: str) -> bool:
        """Return whether the header has all of `names`, written exactly so."""
        return set(names) <= set(self.names)


def opening_of(source: Source) -> Opening | None:
    """Return how the table in `source` begins, or None when it looks like no table."""

    def look() -> Opening | None:
        text = source.head.decode(source.encoding, errors="replace")
        return opening_in(text, whole=len(source.head) < HEAD_BYTES)

    return source.remember("opening of a table", look)


def opening_in(text: str, whole: bool) -> Opening | None:
    """Return how the table that `text` begins with is written, or None where there is none.

    Args:
        text: The first characters of a file.
        whole: Whether that is all of it, so that the last line is no part of one.
    """
    if text.lstrip().startswith(_NOT_A_TABLE):
        return None
    lines = text.splitlines()
    if not whole and len(lines) > 1:
        lines.pop()
    lines = lines[: SAMPLE + _PREAMBLE]
    if lines and lines[0].lower().startswith("sep=") and len(lines[0]) == 5:  # as Excel has it
        found = _candidate(lines[1:], lines[0][4])
        return found[1] if found else None
    tried = (_candidate(lines, delimiter) for delimiter in DELIMITERS)
    best = max(filter(None, tried), key=lambda pair: pair[0], default=None)
    return best[1] if best else _single(lines)


def _single(lines: list[str]) -> Opening | None:
    """Return the opening of one column of numbers, with or without a name."""
    kept = [line.strip() for line in kept_lines(lines)]
    named = bool(kept) and parse(kept[0]) is None
    names = tuple(kept[:1]) if named else ()
    body = kept[1:] if named else kept
    if len(body) < 2 or any(parse(cell) is None for cell in body):
        return None
    if named and not (is_header(names) and has_loss(names)):
        return None
    return Opening(Dialect(","), names, names or None, tuple([cell] for cell in body), 1)


def is_header(row: Sequence[str]) -> bool:
    """Return whether `row` consists of names alone."""
    named = [cell.strip() for cell in row if cell.strip()]
    return bool(named) and not any(
        len(cell) > 200 or parse(cell, True) is not None or _FORMATTED.search(cell)
        for cell in named
    )


def has_loss(names: Iterable[str]) -> bool:
    """Return whether one of `names` means a loss."""
    return any(
        meaning(name.strip().rpartition(" - ")[2]).role in ("train", "eval") for name in names
    )


Score = tuple[bool, float, int]


def _candidate(lines: list[str], delimiter: str) -> tuple[Score, Opening] | None:
    """Return what the table would be with `delimiter`, and how good a table that is."""
    if delimiter != SPACES and not any(delimiter in line for line in lines):
        return None
    table = list(rows(lines, Dialect(delimiter)))
    place = _header_place(table)
    first = tuple(table[place]) if place is not None else None
    body = _up_to_header(table[0 if place is None else place + 1 :], set(first or ()))
    names = (
        _commented(lines, delimiter, body) if place is None else [c.strip() for c in table[place]]
    )
    width = Counter(map(len, body)).most_common(1)[0][0] if body else len(names)
    if delimiter == SPACES and place is not None and len(names) not in (width, width - 1):
        names = _wide_names(lines, place)
    if names and _has_row_numbers(body, len(names)):
        names = ["", *names]  # pandas and R leave the column of row numbers without a name
    if width < 2 or (delimiter == SPACES and names and body and width > len(names)):
        return None
    comma = _has_decimal_comma(body)
    score = _score(names, body, width, comma)
    sure = 0.9 if not names else 0.6 if delimiter == SPACES else 0.0
    if score[1] < sure or (delimiter == SPACES and names and not score[0]):
        return None
    found = Opening(Dialect(delimiter, comma), tuple(names), first, tuple(body), width)
    return (*score, -DELIMITERS.index(delimiter) if delimiter in DELIMITERS else 0), found


def _has_row_numbers(body: list[Row], named: int) -> bool:
    """Return whether the rows have one cell more than there are names: a number, or a label."""
    if not body or any(len(row) != named + 1 for row in body):
        return False
    if not any(row[-1].strip() for row in body):  # every row ends in a separator
        return False
    first = [parse(row[0]) for row in body]
    known = [number for number in first if number is not None]
    steps = {after - before for before, after in itertools.pairwise(known)}
    return not known or (len(known) == len(first) and steps <= {1.0})


def _wide_names(lines: list[str], place: int) -> list[str]:
    """Cut the header at gaps of two blanks, because its names hold single ones."""
    header = next(itertools.islice(kept_lines(lines), place, None))
    return [cell for cell in _GAP.split(header.strip()) if cell]


def _header_place(table: list[Row]) -> int | None:
    for place, row in enumerate(table[:_PREAMBLE]):
        if is_header(row) and len(row) > 1 and has_loss(row):
            return place
    return 0 if table and len(table[0]) > 1 and is_header(table[0]) else None


def _up_to_header(table: list[Row], names: set[str]) -> list[Row]:
    """Return the rows before the header of a restarted run, which has some of `names` again."""
    for place, row in enumerate(table):
        if len(names.intersection(row)) > 1 and is_header(row):
            return table[:place]
    return table


def _commented(lines: list[str], delimiter: str, body: list[Row]) -> list[str]:
    """Return the header in the last comment before the numbers, as numpy writes it, or none."""
    comments = [line.lstrip("# \t") for line in lines[:_PREAMBLE] if line.startswith("#")]
    for comment in reversed(comments):
        found = next(rows([comment], Dialect(delimiter)), Row())
        if body and len(found) == len(body[0]) and is_header(found):
            return [cell.strip() for cell in found]
    return []


def _has_decimal_comma(body: list[Row]) -> bool:
    """Return whether most numbers that are no integers have a comma, and not by thousands."""
    cells = [cell.strip() for row in body for cell in row if "," in cell or "." in cell]
    cells = [cell for cell in cells if len(cell) < 64 and parse(cell, True) is not None]
    commas = [cell for cell in cells if DECIMAL_COMMA.match(cell)]
    return 2 * len(commas) > len(cells) and not all(map(THOUSANDS.match, commas))


def _score(names: list[str], body: list[Row], width: int, comma: bool) -> tuple[bool, float]:
    if not body:
        return has_loss(names), 0.0
    filled = [cell for row in body for cell in row if cell and not cell.isspace()]
    numbers = sum(parse(cell, comma) is not None for cell in filled)
    regular = sum(len(row) == width for row in body) / len(body)
    return has_loss(names), regular * (0.1 + 0.9 * numbers / max(len(filled), 1))
