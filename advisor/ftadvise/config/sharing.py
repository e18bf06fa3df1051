"""Parts of a YAML that say more than what stands there: repeated keys, anchors, merge keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.config.errors import at_line
from ftadvise.config.tree import ALIAS, MAPPING, SCALAR, SEQUENCE, Node
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

_MERGE = "<<"


def check_keys(root: Node) -> None:
    """Raise `ConfigFileError` for a key that is no name, or that stands twice in a mapping.

    Readers differ in which of two counts; an alias as a key could be the name of any setting.
    """
    for mapping in root.walk():
        first: dict[str, int] = {}
        for key, _ in mapping.pairs if mapping.kind == MAPPING else ():
            if key.kind != SCALAR:
                raise at_line(key.line, f"a key is no name, but of the kind {key.kind}")
            if key.value == _MERGE:
                continue
            if key.value in first:
                name, line = clean(key.value, 80), first[key.value]
                raise at_line(key.line, f"{name} stands twice, first in line {line}")
            first[key.value] = key.line


def check_own(root: Node, name: str, target: Node, keys: set[str]) -> None:
    """Raise `ConfigFileError` unless the settings of a mapping are its own and nobody else's.

    Args:
        root: The whole file.
        name: What to call the mapping.
        target: The mapping that is going to be edited.
        keys: Names of the settings in question.
    """
    if target.anchor is not None and any(
        node.kind == ALIAS and node.value == target.anchor for node in root.walk()
    ):
        anchor = clean(target.anchor, 40)
        raise at_line(target.line, f"{name} is used elsewhere too, through its anchor &{anchor}")
    for key, value in target.pairs:
        if key.value == _MERGE:
            merged = _merged(root, value)
            if merged is None or keys & merged:
                raise at_line(key.line, f"{name} takes settings from elsewhere, through a <<")


def _merged(root: Node, value: Node) -> set[str] | None:
    """Return the keys that a merge key brings; None where they cannot be told."""
    names: set[str] = set()
    for mapping in _mappings(root, value):
        if mapping is None or any(key.value == _MERGE for key, _ in mapping.pairs):
            return None
        names |= {key.value for key, _ in mapping.pairs}
    return names


def _mappings(root: Node, value: Node) -> Iterator[Node | None]:
    for node in value.children if value.kind == SEQUENCE else (value,):
        if node.kind == MAPPING:
            yield node
        elif node.kind == ALIAS:
            meant = next(n for n in root.walk() if n.anchor == node.value)
            yield meant if meant.kind == MAPPING else None
        else:
            yield None
