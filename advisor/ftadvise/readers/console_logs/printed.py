"""Finds dicts in console text as Python prints them: `{'loss': 2.31, 'epoch': 0.1}`.

A printed dict is read by a small parser of its own and never evaluated. Its values may be numbers,
quoted numbers, `nan` and `inf` without quotes, and numbers inside `tensor(...)` or
`np.float64(...)`. Every length and depth is bounded, so that any text is read in linear time.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_KEYS = 1000
MAX_DEPTH = 3
MAX_WRAPPED = 8000  # characters of a dict that is spread over several lines
MAX_LINES = 40  # lines that such a dict is spread over

# Carriage returns draw a progress bar anew; Keras also goes back with backspaces.
_PIECE = re.compile(r"[^\r\n\b]+")
# Colours and cursor movements; SageMaker writes the escape character as #033.
_ESCAPE = re.compile(
    r"(?:\x1b|#033)\[[0-9;?]{0,20}[A-Za-z]|\x1b\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\)"
)
_NUMBER = (
    r"[-+]?(?:\d{1,400}\.?\d{0,400}(?:e[-+]?\d{1,5})?|\.\d{1,400}(?:e[-+]?\d{1,5})?"
    r"|(?:nan|infinity|inf)(?![a-z]))"
)
_OPEN = re.compile(r"\{\s{0,20}(?=['\"])")
_KEY = re.compile(r"\s{0,200}(?:'([^'\r\n]{1,200})'|\"([^\"\r\n]{1,200})\")\s{0,20}:\s{0,20}")
_PLAIN = re.compile(_NUMBER, re.IGNORECASE)
_CALL = re.compile(  # tensor(0.5, device='cuda:0'), np.float64(0.5)
    r"[a-z_][\w.]{0,40}\(\s{0,5}(" + _NUMBER + r")[^(){}\n]{0,200}\)", re.IGNORECASE
)
_STRING = re.compile(r"'([^'\r\n]{0,500})'|\"([^\"\r\n]{0,500})\"")
_OTHER = re.compile(
    r"None|True|False|null|true|false|\[[^\[\]{}]{0,2000}\]|\([^(){}]{0,2000}\)|\{\}"
)
_NEXT = re.compile(r"\s{0,200}([,}])")
_CLOSE = re.compile(r"\s{0,200}\}")
_DIGITS = re.compile(r"\d+")
# Who prints: [rank0]:, [default3]:, "0: " of srun, (WorkerProc pid=7), (TrainWorker pid=7, ip=...)
_PROCESS = re.compile(
    r"\[(?:rank|default|local_rank|worker)[ :_-]?(\d{1,6})\]|^ {0,8}(\d{1,5}): |\bpid=(\d{1,10})\b",
    re.IGNORECASE,
)
_PREFIX = 200  # characters of a line that may be its prefix

Row = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """A piece of console text between two line feeds or carriage returns.

    Attributes:
        text: The text without escape sequences, up to where its first dict begins.
        dicts: The dicts that begin in it, in order.
        process: Which process printed it where a prefix says so, else "".
    """

    text: str
    dicts: tuple[Row, ...] = ()
    process: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of `text` in order; a dict over several lines counts for its first."""
    ahead = _Parts(text)
    for part in ahead:
        if "{" not in part:
            yield Piece(part)
            continue
        found, opened = dicts_in(part)
        rest = part
        while opened >= 0:
            taken = _wrapped(rest, opened, ahead)
            if taken is None:
                break
            row, rest = taken
            more, opened = dicts_in(rest)
            found += [row, *more]
        text = part.partition("{")[0] if found else part
        yield Piece(text, tuple(found), process_of(part))


def parts(text: str) -> Iterator[str]:
    """Yield what stands between the line ends of `text`, without escape sequences."""
    return iter(_Parts(text))


def process_of(text: str) -> str:
    """Return the process that a prefix of `text` names, such as `"rank 0"`, or ""."""
    match = _PROCESS.search(text, 0, _PREFIX)
    return next(filter(None, match.groups()), "") if match else ""


def dicts_in(text: str) -> tuple[list[Row], int]:
    """Return the printed dicts in `text`, and where one begins that does not end in it, or -1."""
    found: list[Row] = []
    last_close = text.rfind("}")
    opening = _OPEN.search(text)
    while opening is not None:
        taken = _parse(text, opening.start(), MAX_DEPTH)
        if taken is not None:
            if not _is_quoted(text, opening.start(), taken[1]):
                found.append(taken[0])
        elif last_close < opening.start() and len(text) - opening.start() < MAX_WRAPPED:
            return found, opening.start()
        opening = _OPEN.search(text, taken[1] if taken is not None else opening.end())
    return found, -1


def _is_quoted(text: str, start: int, end: int) -> bool:
    """Return whether a dict is a string of its own, as in the tests of who parses such logs."""
    return start > 0 and text[start - 1] in "'\"" and text[end : end + 1] == text[start - 1]


def _parse(text: str, start: int, depth: int) -> tuple[Row, int] | None:
    """Return the dict that begins at `start` and where it ends, or None when it is none."""
    row: Row = {}
    position = start + 1
    for _ in range(MAX_KEYS):
        key = _KEY.match(text, position)
        if key is None:
            return None
        taken = _value(text, key.end(), depth)
        if taken is None:
            return None
        row[key[1] or key[2]] = taken[0]
        following = _NEXT.match(text, taken[1])
        if following is None:
            return None
        position = following.end()
        if following[1] == "}":
            return row, position
        closing = _CLOSE.match(text, position)
        if closing is not None:  # a comma after the last value
            return row, closing.end()
    return None


def _value(text: str, start: int, depth: int) -> tuple[Any, int] | None:
    match = _PLAIN.match(text, start)
    if match is not None:
        return _number(match[0]), match.end()
    match = _STRING.match(text, start)
    if match is not None:
        return (match[1] or match[2] or "").strip(), match.end()
    match = _OTHER.match(text, start)
    if match is not None:
        return None, match.end()
    match = _CALL.match(text, start)
    if match is not None:
        return _number(match[1]), match.end()
    opening = _OPEN.match(text, start)
    return _parse(text, start, depth - 1) if opening is not None and depth > 1 else None


def _number(digits: str) -> float:
    return int(digits) if len(digits) < 19 and digits.lstrip("+-").isdigit() else float(digits)


class _Parts:
    """The parts of a text between its line ends, with a look ahead."""

    def __init__(self, text: str) -> None:
        if "\x1b" in text or "#033" in text:
            text = _ESCAPE.sub("", text)
        self._matches = _PIECE.finditer(text)
        self._ahead: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._ahead.pop(0) if self._ahead else next(self._matches)[0]

    def ahead(self) -> list[str]:
        """Return the next parts without taking them."""
        missing = MAX_LINES - len(self._ahead)
        self._ahead.extend(match[0] for match in itertools.islice(self._matches, missing))
        return self._ahead

    def take(self, count: int) -> None:
        """Take the next `count` parts."""
        del self._ahead[:count]


def _wrapped(part: str, start: int, following: _Parts) -> tuple[Row, str] | None:
    """Return a dict that goes on in the next lines, and what stands after it, or None."""
    opened = part[start:]
    prefix = part[:start]
    lines: list[str] = []
    size = len(opened)
    for place, line in enumerate(following.ahead()):
        lines.append(_without_prefix(line, prefix))
        size += len(line)
        if size > MAX_WRAPPED:
            return None
        if "}" not in line:
            continue
        # Broken between two words, or by a terminal in the middle of one.
        for between in ("\n", ""):
            text = between.join([opened, *lines])
            taken = _parse(text, 0, MAX_DEPTH)
            if taken is not None:
                following.take(place + 1)
                return taken[0], text[taken[1] :]
        return None
    return None


def _without_prefix(line: str, prefix: str) -> str:
    """Return `line` without the prefix of the line it goes on from, whatever its digits."""
    prefix = prefix[:_PREFIX].rstrip()
    if not prefix:
        return line
    shape = re.escape(_DIGITS.sub("0", prefix)).replace("0", r"\d{1,20}")
    match = re.match(shape + " ?", line)
    return line[match.end() :] if match else line
