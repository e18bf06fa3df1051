"""JSON that is too long to be read as a whole: lines, or rows inside one document, one by one.

Short files are read by `documents`, and so is everything that is built otherwise: what this
module gives is the same, with long lists of rows as `LongRows`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from ftadvise.readers.json_logs import documents
from ftadvise.readers.json_logs.documents import Documents
from ftadvise.readers.json_logs.long_rows import BATCH, Collector, LongRows
from ftadvise.readers.json_logs.window import BrokenError, Window
from ftadvise.readers.source import MAX_BYTES, MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.readers.source import Source
    from ftadvise.readers.wanted import Wanted

LARGE = 32 * 1024 * 1024
_CHUNK = 4 * 1024 * 1024
_KINDS = frozenset({dict, list})
_FEW_SKIPPED, _SKIPPED, _SKIPPED_OF_HUGE = 10, 0.01, 0.5


def parse(source: Source) -> Documents:
    """Return the JSON values in `source`, in which lists of very many rows are `LongRows`.

    Raises:
        LogError: FT404 broken, FT407 too large and neither JSON Lines nor one document of rows.
    """
    if source.size <= LARGE:
        return documents.parse(source)
    return source.remember("long json documents", lambda: _long(source))


def _long(source: Source) -> Documents:
    try:
        found = _lines(source) if _are_lines(source) else _document(source)
    except RecursionError:
        raise documents.too_deep(source.label) from None
    return documents.parse(source) if found is None else found


def _are_lines(source: Source) -> bool:
    """Whether the first line is an object of its own and another begins after it."""
    lines = (line for line in documents.opening(source).splitlines() if line.strip())
    first, second = next(lines, ""), next(lines, "")
    try:
        return (
            isinstance(json.loads(first.strip(documents.BETWEEN)), dict)
            and second.lstrip(documents.BETWEEN)[:1] == "{"
        )
    except (ValueError, RecursionError):
        return False


def _lines(source: Source) -> Documents | None:
    """Return the rows of JSON Lines; None where most lines are no JSON."""
    collected = Collector(wanted=source.wanted)
    reading = _Lines()
    # More may be documents over several lines, which can be read where the file is read whole.
    share = _SKIPPED if source.size <= MAX_BYTES else _SKIPPED_OF_HUGE
    for rows in reading.batches(source):
        collected.extend(rows)
        over_several_lines = reading.goes_on and source.size <= MAX_BYTES
        if over_several_lines or reading.skipped > _FEW_SKIPPED + share * reading.count:
            return None
    found = collected.result()
    if isinstance(found, LongRows):
        return Documents([found], (*reading.notes, *found.notes))
    return Documents(list(found), reading.notes) if len(found) > 1 else None


class _Lines:
    """Reads the objects of a file line by line and counts the lines that hold none."""

    def __init__(self) -> None:
        self.count = 0
        self.skipped = 0
        self.first_skipped = 0
        self.broken_end = False
        self.goes_on = False

    def batches(self, source: Source) -> Iterator[list[dict[str, Any]]]:
        for chunk in _chunks(source):
            values = self._all_at_once(chunk)
            if values is None:
                values = self._one_by_one(chunk)
            yield [value for value in values if isinstance(value, dict)]
        if self.broken_end:
            self.skipped -= 1

    def _all_at_once(self, chunk: str) -> list[Any] | None:
        """Read all lines as one array, which takes half the time of one after the other."""
        try:
            values: list[Any] = json.loads("[" + chunk.replace("\n", ",") + "]")
        except ValueError:
            return None
        if not _KINDS.issuperset(map(type, values)):
            return None
        self.count += chunk.count("\n") + 1
        self.broken_end = False
        return values

    def _one_by_one(self, chunk: str) -> list[Any]:
        values: list[Any] = []
        for line in chunk.split("\n"):
            self.count += 1
            line = line.strip(documents.BETWEEN)
            if not line:
                continue
            # A document that is broken on its line, and no other begins on the next.
            self.goes_on |= self.broken_end and line[0] not in "{["
            self.broken_end = False
            try:
                values.extend(documents.values_in(line))
            except ValueError:  # of a word or number, too, which is no row
                self.skipped += 1
                self.first_skipped = self.first_skipped or self.count
                self.broken_end = line[0] in "{["
        return values

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, one sentence each."""
        notes: list[str] = []
        if self.skipped:
            notes.append(documents.skipped_lines(self.skipped, self.first_skipped))
        if self.broken_end:
            what = "it ends in the middle of a document"
            notes.append(f"The file breaks at line {self.count} ({what}); read up to there.")
        return tuple(notes)


def _chunks(source: Source) -> Iterator[str]:
    """Yield the text in pieces of whole lines, each without its last line end."""
    rest = ""
    for chunk in source.chunks(_CHUNK):
        text = rest + chunk
        end = text.rfind("\n")
        if end < 0 and len(text) <= MAX_LINE:
            rest = text
            continue
        end = end if end >= 0 else len(text)
        rest = text[end + 1 :]
        yield text[:end]
    if rest:
        yield rest


def _document(source: Source) -> Documents | None:
    """Return the one document in `source`; None where it is broken, or not the only one."""
    try:
        window = Window(source.chunks(_CHUNK))
        opening = window.next()
        value: Any
        if opening == "[":
            value = _rows(window, (), source.wanted)
        elif opening == "{":
            value = _object(window, source.wanted)
        else:
            return None
        if window.next():
            return None
    except BrokenError:
        return None
    notes = [note for rows in _long_rows_in(value) for note in rows.notes]
    return Documents([value], tuple(notes))


def _object(window: Window, wanted: Wanted) -> dict[str, Any]:
    value: dict[str, Any] = {}
    window.skip("{")
    while window.next() != "}":
        if value:
            window.skip(",")
        name: Any = window.value()
        if not isinstance(name, str):
            raise BrokenError
        window.skip(":")
        is_list = window.next() == "["
        value[name] = _rows(window, (name,), wanted) if is_list else window.value()
    window.skip("}")
    return value


def _rows(window: Window, path: tuple[str, ...], wanted: Wanted) -> Any:
    """Return the list at the window: one of rows row by row, any other as it is."""
    if not window.opens_rows():
        return window.value()
    collected = Collector(path, wanted)
    window.skip("[")
    batch: list[dict[str, Any]] = []
    while True:
        row: Any = window.value()
        if isinstance(row, dict):  # what is no row counts for nothing in a list that holds rows
            batch.append(cast("dict[str, Any]", row))
        if len(batch) >= BATCH:
            collected.extend(batch)
            batch = []
        if window.next() != ",":
            break
        window.skip(",")
    window.skip("]")
    collected.extend(batch)
    return collected.result()


def _long_rows_in(value: Any) -> Iterator[LongRows]:
    if isinstance(value, LongRows):
        yield value
    elif isinstance(value, dict):
        for child in cast("dict[str, Any]", value).values():
            yield from _long_rows_in(child)
