"""Where in a YAML text an edit goes, so that nothing around it has to move."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.config.errors import at_line
from ftadvise.config.tree import FLOW, MAPPING, Node
from ftadvise.config.values import Value, written

if TYPE_CHECKING:
    from collections.abc import Mapping

_BREAK = re.compile(r"\r\n|\n|\r")
_USUAL_STEP = 2


@dataclass(frozen=True)
class Edit:
    """The characters from `start` to `end` become `text`."""

    start: int
    end: int
    text: str


def apply(text: str, edits: list[Edit]) -> str:
    """Return `text` with all edits in it; they must not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def replacement(node: Node, value: Value) -> Edit:
    """Replace a scalar by `value`, in the quotes that it has."""
    if node.blank:
        return Edit(node.start, node.end, f" {written(value)}")  # right behind the colon
    style = "" if value is None else node.style
    return Edit(node.start, node.end, written(value, style))


def additions(text: str, mapping: Node, values: Mapping[str, Value]) -> Edit:
    """Add keys behind the last one of a mapping that is not empty, indented as that is."""
    if mapping.style == FLOW:
        return _into_flow(text, mapping, values)
    column = mapping.children[-2].column
    return _below(text, mapping.leaf_end(), _lines(values, column))


def section_in(text: str, root: Node, name: str, values: Mapping[str, Value]) -> Edit:
    """Add a section with keys of its own behind the last one of a block mapping."""
    column = root.children[-2].column
    lines = [f"{' ' * column}{name}:", *_lines(values, column + _step(root))]
    return _below(text, root.leaf_end(), lines)


def into_blank(text: str, root: Node, blank: Node, values: Mapping[str, Value]) -> Edit:
    """Give keys to a section that has none, right below its name."""
    return _below(text, blank.end, _lines(values, root.children[-2].column + _step(root)))


def _lines(values: Mapping[str, Value], column: int) -> list[str]:
    return [f"{' ' * column}{key}: {written(value)}" for key, value in values.items()]


def _step(root: Node) -> int:
    """Return by how much the sections of this file are indented."""
    for key, value in root.pairs:
        if value.kind == MAPPING and value.style != FLOW and value.children:
            return value.children[0].column - key.column
    return _USUAL_STEP


def _below(text: str, end: int, lines: list[str]) -> Edit:
    """Put lines below the one in which the character before `end` stands, comment included."""
    line_end = _line_end(text, end)
    if end and text[end - 1] in "\r\n":  # behind a block scalar, whose end is a line's beginning
        return Edit(end, end, "".join(line + line_end for line in lines))
    found = _BREAK.search(text, end)
    if found is None:  # the last line of a file without a line end, which then still has none
        return Edit(len(text), len(text), "".join(line_end + line for line in lines))
    return Edit(found.end(), found.end(), "".join(line + line_end for line in lines))


def _line_end(text: str, place: int) -> str:
    """Return the line end that is used at `place`."""
    behind_break = place and text[place - 1] in "\r\n"
    found = _BREAK.search(text, max(0, place - 2) if behind_break else place)
    found = found or _BREAK.search(text)
    return found.group() if found else "\n"


def _into_flow(text: str, mapping: Node, values: Mapping[str, Value]) -> Edit:
    if _BREAK.search(text, mapping.start, mapping.end):
        raise at_line(mapping.line, "keys are missing in a {...} of several lines")
    if any(key.style for key, _ in mapping.pairs):
        raise at_line(mapping.line, "keys are missing in a {...} with names in quotes, as in JSON")
    new = ", ".join(f"{key}: {written(value)}" for key, value in values.items())
    if not mapping.children:
        place = mapping.end - 1
        return Edit(place, place, new)
    place = mapping.children[-1].end
    return Edit(place, place, f", {new}")
