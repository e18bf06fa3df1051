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

_BETWEEN = re.compile(r"[\s,]*")
_JSON_OPENING = re.compile(
    r'\{\s*["}]'
    r"|\[\s*(?:[\[{\]\"]|-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?\s*[,\]]|NaN|-?Infinity|null)"
)
_LINE_OPENING = re.compile(r'\n[ \t]*\{\s*"')

MAX_FAILURES = 1000  # documents over several lines that turn out to be none

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
    if _JSON_OPENING.match(head.lstrip(" \t\r\n,")):
        return 0.5
    return 0.2 if _LINE_OPENING.search(head) else 0.0


def opening(source: Source) -> str:
    """Return the first 64 KiB as text."""
    head = source.head
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", errors="replace")
    return head.decode("utf-8-sig", errors="replace")


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
        raise _too_deep(label) from None
    except ValueError:  # an integer with more digits than Python converts
        return _Scan(text, label).run()


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 400 else float(digits)


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
        self.line_end = 0

    def run(self) -> Documents:
        decode = json.JSONDecoder(parse_int=_integer).raw_decode
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
            lines = "line is" if self.skipped == 1 else "lines are"
            self.notes.append(
                f"{self.skipped} {lines} no JSON and skipped, the first is line "
                f"{self.first_skipped}."
            )
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
            raise _too_deep(self.label) from None
        self.values.append(value)
        return start + length

    def _long_document(self, decode: _Decode, start: int, newline: int) -> int:
        if self.failures >= MAX_FAILURES:
            return self._skip(start)
        try:
            value, end = decode(self.text, start)
        except json.JSONDecodeError as error:
            self.failures += 1
            # A string can only be unterminated at the end of the file: cut off, not a bad line.
            cut_off = error.msg.startswith("Unterminated")
            if not cut_off and error.pos <= self._next(newline) < len(self.text):
                return self._skip(start)
            return self._broken(error.pos, error.msg)
        except RecursionError:
            raise _too_deep(self.label) from None
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


def _too_deep(label: str) -> LogError:
    return LogError(f"{label}: JSON nested too deeply to be a training log", code="FT404")
