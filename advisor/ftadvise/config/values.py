"""One setting as YAML: what a scalar that somebody wrote says, and how a new one is written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.config.errors import at_line
from ftadvise.config.tree import ALIAS, SCALAR
from ftadvise.reports.configuration import as_yaml
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.config.tree import Node

Value = bool | int | float | str | None

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
# Also 2e-5, which YAML 1.1 takes for text and everybody means as a number.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def written(value: Value, style: str = "") -> str:
    """Return `value` as YAML, between the quotes that stood there; null and true take none."""
    if value is None:
        return "null"
    return as_yaml(value) if isinstance(value, bool) else f"{style}{as_yaml(value)}{style}"


def says(node: Node, value: Value) -> bool:
    """Say whether a scalar that `check_type` accepted already has this value."""
    if value is None:
        return _is_null(node)
    if _is_null(node):
        return False
    if isinstance(value, bool):
        return node.value in (_TRUE if value else _FALSE)
    if isinstance(value, str):
        return node.value == value
    return float(node.value) == float(value)


def check_type(node: Node, key: str, value: Value) -> None:
    """Raise `ConfigFileError` unless what stands at `node` may be replaced by `value` in place."""
    name = clean(key, 80)
    if node.kind == ALIAS:
        raise at_line(node.line, f"{name} is the alias *{clean(node.value, 40)}")
    if node.anchor is not None:
        raise at_line(node.line, f"{name} has the anchor &{clean(node.anchor, 40)}")
    if node.kind != SCALAR:
        raise at_line(node.line, f"{name} is a {node.kind}, but must be {_in_words(value)}")
    if node.tag is not None:
        raise at_line(node.line, f"{name} has the tag {clean(node.tag, 40)}")
    if node.style in ("|", ">") or "\n" in node.value:
        raise at_line(node.line, f"{name} is written over several lines")
    if value is not None and not _is_null(node) and not _fits(node, value):
        found = clean(node.value, 60)
        raise at_line(node.line, f"{name} is {found!r}, but must be {_in_words(value)}")


def _is_null(node: Node) -> bool:
    return not node.style and node.value in _NULLS


def _fits(node: Node, value: bool | float | str) -> bool:
    is_number = bool(_NUMBER.fullmatch(node.value))
    if isinstance(value, bool):
        return not node.style and node.value in _TRUE | _FALSE
    if isinstance(value, str):
        return not is_number and bool(re.fullmatch(r"\w+", node.value))  # a name, no template
    return is_number  # in quotes too: some readers take "3" for 3, and the quotes stay


def _in_words(value: Value) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a name"
    return "one value" if value is None else "a number"
