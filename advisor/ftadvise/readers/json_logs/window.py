"""A window that slides over a long JSON text, value by value."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ftadvise.readers.json_logs.documents import integer
from ftadvise.readers.source import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE = re.compile(r"[ \t\n\r]*")
_AFTER = frozenset(",:]}")
_WORD = 64  # characters of a word or number that may be cut off


class BrokenError(Exception):
    """What stands at the window is no JSON."""


class Window:
    """The part of a text that is being read; it moves on only, and grows with a long value."""

    def __init__(self, chunks: Iterator[str]) -> None:
        """Begin at the start of the text that `chunks` make up."""
        self._chunks = chunks
        self._text = next(chunks, "")
        self._at = 0
        self._ended = False
        self._decode = json.JSONDecoder(parse_int=integer).raw_decode

    def next(self) -> str:
        """Return the next character that is no white space, or "" at the end; stay before it."""
        while True:
            self._at = self._space(self._at)
            if self._at < len(self._text) or not self._grow():
                return self._text[self._at : self._at + 1]

    def skip(self, mark: str) -> None:
        """Step over `mark`, which must come next.

        Raises:
            BrokenError: Something else does.
        """
        if self.next() != mark:
            raise BrokenError
        self._at += 1

    def opens_rows(self) -> bool:
        """Return whether a list comes next whose first value is an object."""
        while True:
            inside = self._space(self._space(self._at) + 1)
            if inside < len(self._text) or not self._grow():
                return self.next() == "[" and self._text[inside : inside + 1] == "{"

    def value(self) -> Any:
        """Return the next value and step over it.

        Raises:
            BrokenError: There is none, or it is cut off.
            RecursionError: It is nested too deeply.
        """
        self.next()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                self._refuse_what_no_more_text_mends(error)
            else:
                after = self._space(end)
                # A number at the end of the window may go on behind it.
                if self._ended or self._text[after : after + 1] in _AFTER:
                    self._at = end
                    return value
            if self._ended or len(self._text) > MAX_BYTES:
                raise BrokenError
            self._grow()

    def _refuse_what_no_more_text_mends(self, error: json.JSONDecodeError) -> None:
        cut_off = error.msg.startswith("Unterminated") or error.pos + _WORD >= len(self._text)
        if not cut_off:
            raise BrokenError

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _grow(self) -> bool:
        """Take more text in, at least as much as there is; return whether there was any."""
        parts = [self._text[self._at :]]
        size = 0
        while size <= len(parts[0]) and not self._ended:
            more = next(self._chunks, "")
            self._ended = not more
            parts.append(more)
            size += len(more)
        self._text, self._at = "".join(parts), 0
        return size > 0
