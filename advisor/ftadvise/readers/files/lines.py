"""Lines of text logs, without what terminals, loggers and launchers put around them.

Shared by the readers of text logs. Every line is cut at `MAX_LINE` characters, and every pattern
has bounded repetitions, so that any text is read in linear time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.json_logs import documents
from ftadvise.readers.source import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.readers.source import Source

MAX_LINE = 4000

# Colours and cursor movements; SageMaker writes the escape character as #033, editors drop it.
_ESCAPES = re.compile(
    r"(?:\x1b|#033)\[[0-9;?:]{0,40}[A-Za-z]|\x1b\][^\x07\x1b]{0,500}\x07?|\x08"
    r"|\[(?:\d{1,3};){0,8}\d{1,3}m(?=\S)"
)
# 2025-11-28 22:51:44,197 and 22:51:44 and 2025-11-28T22:51:44.197Z; +0100 after them.
_STAMPS = re.compile(
    r"(?<![\w.])(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T _]{1,2}\d{1,2}:\d{2}(?::\d{2})?)?"
    r"|(?:\d{1,2}/\d{1,2}(?:/\d{2,4})?[ ,]{1,2})?\d{1,2}:\d{2}:\d{2})(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?(?![\w/])"
)
_CODE_PLACE = re.compile(
    r"[\w./<>-]{1,120}\.(?:py|cc|cpp|cu|h|hpp|ipynb):\d{1,6}(?::[\w<>]{1,80})?"
)
_LEVEL = re.compile(r"\b(?:INFO|DEBUG|WARNING|NOTICE|SUCCESS)\b[\s:|\]\-—>]{0,12}")
_PREFIX = 200
_RANK = re.compile(
    r"\s{0,8}(?:\[(?:rank|default|node)[ _-]?\d{1,6}\](?:\[?[\w-]{0,20}\]?)?\s{0,4}:?"
    r"|\([\w.,\- ]{1,60}pid=\d{1,10}[^()]{0,60}\))\s{0,4}"
)
_MARKUP = re.compile(rb"\s{0,200}(?:<!doctype|<html|<\?xml|<svg|%PDF|\{\\rtf|<!--)", re.IGNORECASE)
_COUNTS_FIRST = re.compile(rb"\s{0,200}\[[\d\s,/]{1,40}\][ \t]{0,20}[A-Za-z|\-]")
_VERTICAL = str.maketrans("│┃║¦｜", "|||||")


def lines_of(source: Source, hint: re.Pattern[str] | None = None) -> Iterator[str]:
    """Yield the lines of a text log that `hint` is found in, in their order, cleaned.

    A carriage return ends a line too: progress bars write one in place of a line feed.

    Args:
        source: The log.
        hint: What a line must have to be worth a look; None for all lines that are not blank.
    """
    rank = ""
    for whole in source.lines():
        line = whole[:MAX_LINE]
        if hint is not None and not hint.search(line):
            continue
        if "rank" in line or "pid=" in line:
            printed_by = _RANK.match(line)
            if printed_by and "loss" in line.lower():
                # What several processes print alike is read from the first of them.
                rank = rank or printed_by.group().strip()
                if printed_by.group().strip() != rank:
                    continue
        clean = without_prefix(line)
        if clean:
            yield clean


def without_prefix(line: str) -> str:
    """Return `line` without colours, time stamps, levels, ranks and places in source code."""
    if "\x1b" in line or "#033" in line or "\x08" in line or "m" in line:
        line = _ESCAPES.sub("", line)
    if ":" in line:
        line = _STAMPS.sub(" ", line)
        if ".py:" in line or ".c" in line:
            line = _CODE_PLACE.sub(" ", line)
    rank = _RANK.match(line)
    if rank:
        line = line[rank.end() :]
    level = _LEVEL.search(line, 0, _PREFIX)
    if level:
        line = line[level.end() :]
    return line.translate(_VERTICAL).strip()


def ends_of(source: Source) -> str:
    """Return the beginning and the end of the file, 64 KiB of each, as text.

    Metrics may come late in a text log, after the source code or the settings of the run, so its
    end says what wrote it as often as its beginning.
    """
    return source.remember("both ends as text", lambda: _ends_of(source))


def _ends_of(source: Source) -> str:
    ends = [source.head]
    if source.size > HEAD_BYTES:
        try:
            with source.path.open("rb") as file:
                file.seek(max(HEAD_BYTES, (source.size - HEAD_BYTES) // 4 * 4))
                ends.append(file.read(HEAD_BYTES))
        except OSError:
            pass
    text = "\n".join(end.decode(source.encoding, errors="replace") for end in ends)
    text = text.replace("\r", "\n")
    return _ESCAPES.sub("", text) if "\x1b" in text or "#033" in text else text


def is_text(source: Source) -> bool:
    """Return whether the file is plain text, neither binary nor HTML, XML, PDF or RTF."""
    head = source.head
    if _MARKUP.match(head[:1000]):
        return False
    return source.encoding != "utf-8-sig" or b"\0" not in head


def may_be_log(source: Source) -> bool:
    """Return whether the file may be a text log: plain text, and no JSON."""
    if not is_text(source):
        return False
    # "[1,  2000] loss: 2.1" opens like JSON.
    return documents.sniff(source) < 0.5 or _COUNTS_FIRST.match(source.head) is not None
