"""What stands in the records of a `.wandb` file: history, configuration, summary, names.

Field numbers: wandb's `proto/wandb_internal.proto`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_plugins import protobuf
from ftadvise_plugins.protobuf import BYTES, MalformedMessage

if TYPE_CHECKING:
    from collections.abc import Callable

_HISTORY, _SUMMARY, _CONFIG, _RUN = 2, 3, 5, 17
_CONSOLE, _LINE = (4, 13), 3  # output and output_raw; their line
_KEY, _NESTED, _JSON = 1, 2, 16
_JSON_MARK = b"\x82\x01"  # field 16, as bytes
MOST_PRINTED = 8 * 1024 * 1024
_LONGEST_VALUE = 64 * 1024
_MOST_SETTINGS = 5000
_MOST_NAMES = 10_000
_MOST_OTHERS = 100

Row = dict[str, float | str]


@dataclass
class Log:
    """What a `.wandb` file says.

    Attributes:
        keep: Whether a series of this name is wanted.
        rows: Rows of the history that were read and not yet taken, with what is wanted of them.
        history: How many rows there were.
        others: Names of some series that are not wanted.
        config: The configuration.
        summary: The final values.
        name: What the run is called; empty where it has no name but its id.
        run_id: Its id.
        console: What the run printed, as far as `MOST_PRINTED` bytes.
        malformed: How many records are none.
    """

    keep: Callable[[str], bool]
    rows: list[Row] = field(default_factory=list[Row])
    history: int = 0
    others: list[str] = field(default_factory=list[str])
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    summary: dict[str, Any] = field(default_factory=dict[str, Any])
    name: str = ""
    run_id: str = ""
    console: bytearray = field(default_factory=bytearray)
    malformed: int = 0
    _names: dict[bytes, str] = field(default_factory=dict[bytes, str])

    def add(self, data: bytes) -> None:
        """Take one record."""
        try:
            for part in protobuf.fields(data):
                if part.wire == BYTES:
                    self._part(data, part.number, part.start, part.end)
        except MalformedMessage:
            self.malformed += 1

    def _part(self, data: bytes, number: int, start: int, end: int) -> None:
        if number == _HISTORY:
            self.history += 1
            row = self._row(data, start, end)
            if row:
                self.rows.append(row)
        elif number in (_CONFIG, _SUMMARY):
            self._update(self.config if number == _CONFIG else self.summary, data, start, end)
        elif number == _RUN:
            self._run(data, start, end)
        elif number in _CONSOLE and len(self.console) < MOST_PRINTED:
            for part in protobuf.fields(data, start, end):
                if part.number == _LINE and part.wire == BYTES:
                    self.console += data[part.start : part.end]

    def _row(self, data: bytes, start: int, end: int) -> Row:
        row: Row = {}
        names = self._names
        for part in protobuf.fields(data, start, end):
            if part.number != 1 or part.wire != BYTES:
                continue
            item = data[part.start : part.end]
            name, text = _plain_item(item) or _item(item)
            known = names.get(name)
            if known is None:
                known = self._name(name)
            if known:
                value = _number(text)
                if value is not None:
                    row[known] = value
        return row

    def _name(self, name: bytes) -> str:
        """Return a name as text, or "" for one that is not wanted."""
        text = clean(name.decode("utf-8", errors="replace"), 1000)
        wanted = text if self.keep(text) else ""
        if not wanted and text[:1] != "_" and len(self.others) < _MOST_OTHERS:
            self.others.append(text)
        if len(self._names) < _MOST_NAMES:
            self._names[name] = wanted
        return wanted

    def _update(self, into: dict[str, Any], data: bytes, start: int, end: int) -> None:
        for part in protobuf.fields(data, start, end):
            if part.number != 1 or part.wire != BYTES:
                continue
            name, text = _item(data[part.start : part.end])
            key = name.decode("utf-8", errors="replace")
            if len(text) <= _LONGEST_VALUE and (key in into or len(into) < _MOST_SETTINGS):
                into[key] = _json(text)

    def _run(self, data: bytes, start: int, end: int) -> None:
        for part in protobuf.fields(data, start, end):
            if part.wire != BYTES:
                continue
            if part.number == 4:
                self._update(self.config, data, part.start, part.end)
            elif part.number in (1, 8):
                text = clean(data[part.start : part.end].decode("utf-8", errors="replace"), 80)
                if part.number == 1:
                    self.run_id = text
                else:
                    self.name = text


def _plain_item(item: bytes) -> tuple[bytes, bytes] | None:
    """Return name and value of an item that is laid out as nearly all are, else None."""
    if len(item) < 5 or item[0] not in (0x0A, 0x12) or item[1] >= 0x80:
        return None
    end = 2 + item[1]
    if item[end : end + 2] != _JSON_MARK or len(item) != end + 3 + item[end + 2]:
        return None
    return item[2:end], item[end + 3 :]


def _item(item: bytes) -> tuple[bytes, bytes]:
    """Return name and value of an item; the names of nested ones are joined by dots."""
    name, text = b"", b""
    nested: list[bytes] = []
    for part in protobuf.fields(item):
        if part.wire != BYTES:
            continue
        if part.number == _KEY:
            name = item[part.start : part.end]
        elif part.number == _NESTED:
            nested.append(item[part.start : part.end])
        elif part.number == _JSON:
            text = item[part.start : part.end]
    return name or b".".join(nested), text


def _number(text: bytes) -> float | str | None:
    """Return a number in JSON; W&B writes NaN and infinities as strings."""
    try:
        return float(text) if len(text) < 64 else None
    except ValueError:
        value = _json(text)
        return value if isinstance(value, str) else None


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
