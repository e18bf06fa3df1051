"""Delimited text: its rows one by one, and the numbers in its cells.

Comment lines and rules of dashes are stepped over. Nothing is held but the row at hand.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.errors import LogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


SPACES = " "
MAX_LINE = 1 << 20  # characters; longer ones are no rows of a log

MAX_NUMBER = 200  # characters of a cell with a number in it

DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?$")
_RULE = frozenset("-+|=: \t\r\n")  # what the lines between the rows of a table are made of
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$")
# "3/10" as an epoch, "[0.5]", and "tensor(0.5, device='cuda:0')" of those who forget `.item()`.
_INSIDE = re.compile(
    r"(\d{1,9}) ?/ ?\d{1,9}$|tensor\(\[?([-+]?\d+\.?\d*(?:[eE][-+]?\d{1,3})?)[,)\]]"
    r"|\[ ?([-+]?\d+\.?\d*(?:[eE][-+]?\d{1,3})?) ?\]$"
)

Row = list[str]


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Attributes:
        delimiter: What stands between cells; `SPACES` for columns aligned by white space.
        decimal_comma: Whether `0,5` is a half.
    """

    delimiter: str
    decimal_comma: bool = False


def parse(cell: str, decimal_comma: bool = False) -> float | None:
    """Return the number in `cell`, or None where there is none: empty, `NA`, text."""
    try:
        return float(cell)
    except ValueError:
        pass
    cell = cell.strip()
    if not cell or len(cell) > MAX_NUMBER:
        return None
    if decimal_comma and DECIMAL_COMMA.match(cell):
        return float(cell.replace(",", "."))
    if THOUSANDS.match(cell):
        return float(cell.replace(",", ""))
    inside = _INSIDE.match(cell)
    return float(inside[1] or inside[2] or inside[3]) if inside else None


def lines_of(path: Path, encoding: str, label: str) -> Iterator[str]:
    """Yield the lines of a file with their ends, those beyond every measure in pieces.

    Raises:
        LogError: FT401, the file cannot be read.
    """
    try:
        with path.open(encoding=encoding, errors="replace") as file:
            while line := file.readline(MAX_LINE):
                yield line
    except OSError as error:
        raise LogError(f"{label}: {error.strerror}", code="FT401") from None


def rows(lines: Iterable[str], dialect: Dialect) -> Iterator[Row]:
    """Yield the rows in `lines`; empty lines, comments and rules of dashes are left out."""
    kept = kept_lines(lines)
    if dialect.delimiter == SPACES:
        for line in kept:
            yield line.split()
        return
    if dialect.delimiter == "|":
        kept = (line.strip().removeprefix("|").removesuffix("|") for line in kept)
    reader = csv.reader(kept, delimiter=dialect.delimiter, skipinitialspace=True)
    while True:
        try:
            yield from filter(None, reader)
            return
        except csv.Error:  # a field beyond every measure; the reader goes on with the next line
            continue


def kept_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines that may hold rows."""
    inside = False  # a line beyond every measure, which comes in pieces
    for line in lines:
        if inside or len(line) >= MAX_LINE:
            inside = not line.endswith("\n")
            continue
        if not line or line.isspace() or line[0] == "#":
            continue
        if line[0] in _RULE and _RULE.issuperset(line) and ("-" in line or "=" in line):
            continue
        yield line.replace("\0", "") if "\0" in line else line
