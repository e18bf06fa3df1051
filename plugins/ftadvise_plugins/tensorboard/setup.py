"""What trainers write beside their scalars: arguments as text, hyperparameters."""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING, Any, cast

from ftadvise.readers.series.keys import words
from ftadvise_plugins import protobuf
from ftadvise_plugins.protobuf import BYTES, FIXED64, VARINT, MalformedMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_BYTES = 256 * 1024
MOST_TEXTS = 50
HYPERPARAMETERS = b"_hparams_/session_start_info"

_ABOUT_SETUP = frozenset(
    {"args", "arguments", "config", "configuration", "hparams", "hyperparams", "hyperparameters",
     "params", "settings"}
)  # fmt: skip
_LINE = re.compile(r"[\s|*\-]*`?(\w[\w./-]{0,80})`?\s*[|:=]\s*`?([^|`\n]{1,200}?)`?[\s|,]*$")
_NUMBER = re.compile(r"[-+]?\d{1,15}(?:\.\d{0,30})?(?:[eE][-+]?\d{1,3})?$")
_WORDS = {"true": True, "false": False, "none": None, "null": None}


def is_setup(name: bytes) -> bool:
    """Return whether a text of this name may say how the run was set up."""
    found = set(words(name[:200].decode("utf-8", errors="replace")))
    return bool(found & _ABOUT_SETUP) and "model" not in found


def setup_of(texts: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return the settings in the texts of a log, the first of each name."""
    found: dict[str, Any] = {}
    for place, (name, content) in enumerate(texts):
        if place >= MOST_TEXTS or len(content) > MOST_BYTES:
            continue
        part = _hyperparameters(content) if name == HYPERPARAMETERS else _text(content)
        for key, value in part.items():
            found.setdefault(key, value)
    return found


def _text(content: bytes) -> dict[str, Any]:
    """Return what a text says: JSON, a table in Markdown, or lines of `name: value`."""
    text = content.decode("utf-8", errors="replace").strip().strip("`").removeprefix("json")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return dict(filter(None, map(_line, text.splitlines()[:2000])))
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _line(line: str) -> tuple[str, Any] | None:
    match = _LINE.match(line) if len(line) < 400 else None
    if match is None:
        return None
    value = match[2].strip().strip("\"'")
    if _NUMBER.match(value):
        return match[1], float(value)
    return match[1], _WORDS.get(value.lower(), value)


def _hyperparameters(content: bytes) -> dict[str, Any]:
    """Return what the hyperparameter plugin keeps at the start of a session.

    Field numbers: tensorboard's `plugins/hparams/plugin_data.proto` and `api.proto`, and
    `google/protobuf/struct.proto`.
    """
    found: dict[str, Any] = {}
    try:
        for session in protobuf.fields(content):
            if session.number != 3 or session.wire != BYTES:
                continue
            for entry in protobuf.fields(content, session.start, session.end):
                if entry.number == 1 and entry.wire == BYTES:
                    name, value = _entry(content, entry.start, entry.end)
                    found[name] = value
    except MalformedMessage:
        pass
    return found


def _entry(content: bytes, start: int, end: int) -> tuple[str, Any]:
    name, value = "", None
    for part in protobuf.fields(content, start, end):
        if part.number == 1 and part.wire == BYTES:
            name = content[part.start : part.end].decode("utf-8", errors="replace")
        elif part.number == 2 and part.wire == BYTES:
            for inner in protobuf.fields(content, part.start, part.end):
                if inner.number == 2 and inner.wire == FIXED64:
                    value = struct.unpack_from("<d", content, inner.start)[0]
                elif inner.number == 3 and inner.wire == BYTES:
                    value = content[inner.start : inner.end].decode("utf-8", errors="replace")
                elif inner.number == 4 and inner.wire == VARINT:
                    value = bool(inner.value)
    return name, value
