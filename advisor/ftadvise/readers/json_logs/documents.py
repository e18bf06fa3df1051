"""From text to JSON values, for JSON as it is found: one document, many, or one per line.

`parse` reads strict JSON, JSON Lines with broken lines in between, and documents that were
appended to one file with or without commas (`}{`, `},{`, `][`). NaN and Infinity are accepted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise.errors import LogError

if TYPE_CHECKING:
    from ftadvise.readers.source import Source

# Marks of byte order stand between files that were joined, zeros where a disk lost what was there.
BETWEEN = " \t\r\n,\ufeff\0"
_BETWEEN = re.compile(rf"[\s{BETWEEN}]*")
_JSON_OPENING = re.compile(
    r'\{\s*["}]'
    r"|\[\s*(?:[\[{\]\"]|-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?\s*[,\]]|NaN|-?Infinity|null)"
)
_LINE_OPENING = re.compile(r'\n[ \t]*\{\s*"')

MAX_FAILURES = 1000  # documents over several lines that turn out to be none
_MAX_COST = 4  # times the text that may be read in vain for them

_Decode = Callable[[str, int], tuple[Any, int]]


@dataclass(frozen=True)
class Documents:
    """The JSON values in a file, in its order.

    Attributes:
        values: Objects and arrays; a file of one document has one.
        notes: What was skipped to get them, one sentence each.
    """

    values: list[Any]
    notes: tuple[str, ...] = ()


def sniff(source: Source) -> float:
    """Return how much the beginning of the file looks like JSON, from 0 to 0.5."""
    head = opening(source)
    if _JSON_OPENING.match(head.lstrip(BETWEEN)):
        return 0.5
    return 0.2 if _LINE_OPENING.search(head) else 0.0


def opening(source: Source) -> str:
    """Return the first 64 KiB as text."""
    return source.head.decode(source.encoding, errors="replace")


def parse(source: Source) -> Documents:
    """Return the JSON values in `source`; the work is done once per source.

    Raises:
        LogError: FT404 with the place where a broken document breaks.
    """
    return source.remember("json documents", lambda: _parse(source.text, source.label))


def _parse(text: str, label: str) -> Documents:
    try:
        return Documents([json.loads(text)])
    except json.JSONDecodeError:
        return _Scan(text, label).run()
    except RecursionError:
        raise too_deep(label) from None
    except ValueError:  # an integer with more digits than Python converts
        return _Scan(text, label).run()


def integer(digits: str) -> int | float:
    """Return the number that `digits` are, as a float where Python would not convert them."""
    return int(digits) if len(digits) < 400 else float(digits)


def values_in(line: str) -> list[Any]:
    """Return the objects and lists on a line of JSON Lines, of which there may be several.

    Raises:
        ValueError: One of them is no JSON, or something else.
    """
    values: list[Any] = []
    at = 0
    while at < len(line):
        if line[at] not in "{[":
            raise ValueError
        value, end = _DECODE(line, at)
        values.append(value)
        between = _BETWEEN.match(line, end)
        at = between.end() if between else end
    return values


def skipped_lines(count: int, first: int) -> str:
    """Return the note that `count` lines, the first of them `first`, were left out."""
    lines = "line is" if count == 1 else "lines are"
    return f"{count} {lines} no JSON and skipped, the first is line {first}."


_DECODE: _Decode = json.JSONDecoder(parse_int=integer).raw_decode


class _Scan:
    """Reads one document after the other and steps over lines that are none."""

    def __init__(self, text: str, label: str) -> None:
        self.text = text
        self.label = label
        self.values: list[Any] = []
        self.skipped = 0
        self.first_skipped = 0
        self.notes: list[str] = []
        self.failures = 0
        self.cost = 0
        self.line_end = 0

    def run(self) -> Documents:
        decode = _DECODE
        position = self._next(0)
        while position < len(self.text):
            if self.text[position] in "{[":
                end = self._document(decode, position)
            else:
                end = self._skip(position)
            position = self._next(end)
        if not self.values:
            raise LogError(f"{self.label}: not in any known format", code="FT404")
        if self.skipped:
            self.notes.append(skipped_lines(self.skipped, self.first_skipped))
        return Documents(self.values, tuple(self.notes))

    def _next(self, position: int) -> int:
        found = _BETWEEN.match(self.text, position)
        return found.end() if found else position

    def _document(self, decode: _Decode, start: int) -> int:
        """Read the document at `start`; return where it ends."""
        if start < self.line_end:  # more than one document on a line
            return self._long_document(decode, start, self.line_end)
        newline = self.text.find("\n", start)
        self.line_end = line_end = newline if newline >= 0 else len(self.text)
        line = self.text[start:line_end]
        try:
            # The line alone first: an error costs the length of the text it is found in.
            value, length = decode(line, 0)
        except json.JSONDecodeError as error:
            unfinished = error.pos >= len(line.rstrip())
            if unfinished and newline >= 0:
                return self._long_document(decode, start, newline)
            if self._next(line_end) < len(self.text):
                return self._skip(start)
            return self._broken(start + error.pos, error.msg)
        except RecursionError:
            raise too_deep(self.label) from None
        self.values.append(value)
        return start + length

    def _long_document(self, decode: _Decode, start: int, newline: int) -> int:
        if self.failures >= MAX_FAILURES or self.cost > _MAX_COST * len(self.text):
            return self._skip(start)
        try:
            value, end = decode(self.text, start)
        except json.JSONDecodeError as error:
            self.failures += 1
            self.cost += error.pos - start
            # A string can only be unterminated at the end of the file: cut off, not a bad line.
            cut_off = error.msg.startswith("Unterminated")
            if not cut_off and error.pos <= self._next(newline) < len(self.text):
                return self._skip(start)
            return self._broken(error.pos, error.msg)
        except RecursionError:
            raise too_deep(self.label) from None
        self.values.append(value)
        return end

    def _broken(self, position: int, message: str) -> int:
        """End the reading at a broken document; without a whole one before it is an error."""
        if not self.values and self.skipped:
            return len(self.text)
        at_end = self._next(position) >= len(self.text) or message.startswith("Unterminated")
        what = "it ends in the middle of a document" if at_end else message.lower()
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        where = f"line {line}, column {column}"
        if self.values:  # what stands before is whole: a log cut off while it was written
            self.notes.append(f"The file breaks at {where} ({what}); read up to there.")
            return len(self.text)
        raise LogError(
            f"{self.label}: broken JSON at {where}: {what}",
            code="FT404",
            hint="The file was cut off or damaged; copy it again, or give another log of the run.",
        )

    def _skip(self, start: int) -> int:
        if not self.skipped:
            self.first_skipped = self.text.count("\n", 0, start) + 1
        self.skipped += 1
        newline = self.text.find("\n", start)
        return newline if newline >= 0 else len(self.text)


def too_deep(label: str) -> LogError:
    """Return the error for a file that nests lists in lists in lists."""
    return LogError(f"{label}: JSON nested too deeply to be a training log", code="FT404")
