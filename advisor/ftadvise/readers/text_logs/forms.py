"""Lines of known forms: what the reader of one tool's text log is made of.

A tool prints a few forms of lines. Each form is a pattern with named groups, which become numbers
in the columns of the log; what follows the pattern may hold further pairs of names and numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftadvise.readers.files.lines import ends_of, lines_of, may_be_log
from ftadvise.readers.series.keys import Meaning
from ftadvise.readers.text_logs.pairs_in_text import number_of, read_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ftadvise.readers.source import Source
    from ftadvise.readers.wanted import Wanted

NUMBER = r"[-+]?(?:\d{1,40}\.?\d{0,40}(?:[eE][-+]?\d{1,4})?|\.\d{1,40}|nan|inf|NaN|Infinity)"
"""A number in a pattern of a form."""

_KEPT = ("train", "eval", "rate")


@dataclass(frozen=True)
class Form:
    """A form of line.

    Attributes:
        name: What the reader calls it.
        pattern: Found anywhere in a line; its groups hold numbers.
        columns: Names of columns by group; a group that is not named here keeps its own name.
        rest: Whether pairs behind the pattern are taken; those with a meaning only.
        split: Put before the names of pairs that do not say which data they are about.
    """

    name: str
    pattern: re.Pattern[str]
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    rest: bool = False
    split: str = ""


@dataclass(frozen=True)
class FormLine:
    """A line of a known form.

    Attributes:
        form: Its form.
        row: Its numbers by column.
        match: What the pattern found.
    """

    form: Form
    row: dict[str, float]
    match: re.Match[str]


def mark(source: Source, pattern: re.Pattern[str], least: int = 1) -> bool:
    """Return whether a text file has `pattern` at its beginning or end, `least` times."""
    if not may_be_log(source):
        return False
    found = pattern.finditer(ends_of(source))
    return sum(1 for _ in zip(range(least), found, strict=False)) == least


def form_lines(source: Source, hint: re.Pattern[str], forms: Sequence[Form]) -> Iterator[FormLine]:
    """Yield the lines that have a form; the first form that fits a line is its form.

    Args:
        source: The log.
        hint: What all lines with a form have, quick to look for.
        forms: The forms.
    """
    for line in lines_of(source, hint):
        for form in forms:
            match = form.pattern.search(line)
            if match:
                yield FormLine(form, _row(form, match, source.wanted), match)
                break


def _row(form: Form, match: re.Match[str], wanted: Wanted) -> dict[str, float]:
    row: dict[str, float] = {}
    for group, text in match.groupdict().items():
        if text is not None and group in form.columns:
            row[form.columns[group]] = number_of(text)
    if form.rest:
        for pair in read_pairs(match.string[match.end() :]).pairs:
            kept = pair.role in _KEPT or wanted.names(pair.name)
            if kept and not pair.unit and pair.total is None:
                name = pair.name.removesuffix(" value")
                split = form.split if pair.role != "rate" else ""
                row.setdefault(f"{split} {name}" if split else name, pair.value)
    return row


def eval_named(*names: str) -> dict[str, Meaning]:
    """Return meanings that say of `names` that they are held-out losses."""
    return {name: Meaning("eval", (3, 0), "eval") for name in names}


def train_named(*names: str) -> dict[str, Meaning]:
    """Return meanings that say of `names` that they are train losses."""
    return {name: Meaning("train", (3, 0), "train") for name in names}
