"""Reads YAML into a tree that knows where in the text everything stands.

The tree is made of the parser's events rather than of its composed nodes: only the events still
show anchors, aliases and the style of each scalar, and an edit has to respect all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise.config.errors import ConfigFileError, at_line
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALAR, MAPPING, SEQUENCE, ALIAS = "scalar", "mapping", "sequence", "alias"
FLOW = "flow"

_MOST_EVENTS = 40_000
_DEEPEST = 20
_KINDS = {
    "ScalarEvent": SCALAR,
    "AliasEvent": ALIAS,
    "MappingStartEvent": MAPPING,
    "SequenceStartEvent": SEQUENCE,
}
# YAML 1.1 ends a line, and with it a comment, at these; YAML 1.2 does not.
_DISPUTED_BREAKS = "\x85\u2028\u2029"


@dataclass(frozen=True, eq=False)
class Node:
    """A piece of a YAML text.

    Attributes:
        kind: `"scalar"`, `"mapping"`, `"sequence"` or `"alias"`.
        start: Its first character, with its anchor or tag.
        end: The character after it. In block style that is where the next thing begins.
        line: Line that it begins in, from 1.
        column: Column that it begins in, from 0.
        value: What a scalar says without its quotes; the name of an alias.
        style: Of a scalar `'`, `"`, `|`, `>` or nothing; of a collection `"flow"` or nothing.
        tag: Its tag where one is written.
        anchor: Its anchor where it has one.
        children: Items of a sequence; keys and values of a mapping, in turn.
    """

    kind: str
    start: int
    end: int
    line: int
    column: int
    value: str
    style: str
    tag: str | None
    anchor: str | None
    children: tuple[Node, ...] = ()

    @property
    def pairs(self) -> tuple[tuple[Node, Node], ...]:
        """Keys of a mapping with their values."""
        return tuple(zip(self.children[::2], self.children[1::2], strict=True))

    @property
    def blank(self) -> bool:
        """Whether nothing is written where a value could be."""
        return self.kind == SCALAR and self.start == self.end

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()

    def leaf_end(self) -> int:
        """Return the character after the last thing that is written in this node."""
        if self.kind in (SCALAR, ALIAS) or self.style == FLOW or not self.children:
            return self.end
        return self.children[-1].leaf_end()


def parse(text: str) -> Node:
    """Return the tree of a YAML text.

    Raises:
        ConfigFileError: FT433 if it is no YAML, FT434 if it is empty, has several documents or is
            large or deep beyond measure, FT436 without PyYAML.
    """
    for character in _DISPUTED_BREAKS:
        if character in text:
            line = text[: text.index(character)].count("\n") + 1
            raise at_line(line, "has a character that some YAML readers take for a line end")
    yaml = _yaml()
    try:
        root = _built(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise _no_yaml(error) from None
    if root is None:
        raise ConfigFileError("the file has no settings in it")
    return root


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigFileError(
            "changing a YAML file needs PyYAML",
            hint='pip install "ftadvise[train]", or pip install pyyaml',
            code="FT436",
        ) from None
    return yaml


def _no_yaml(error: Any) -> ConfigFileError:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    problem = clean(getattr(error, "problem", None) or getattr(error, "reason", error), 200)
    if "'\\t'" in problem:
        problem = "a tab, where YAML takes spaces only"
    return ConfigFileError(f"{where}not valid YAML: {problem}", code="FT433")


def _built(events: Any) -> Node | None:
    """Return the one document's root; None where there is nothing in it."""
    root: Node | None = None
    documents = 0
    unfinished: list[tuple[Any, list[Node]]] = []
    anchors: set[str] = set()
    for number, event in enumerate(events):
        name = type(event).__name__
        line = event.start_mark.line + 1
        documents += name == "DocumentStartEvent"
        if documents > 1:
            raise at_line(line, "a second YAML document begins")
        if number > _MOST_EVENTS or len(unfinished) > _DEEPEST:
            raise at_line(line, "more values, or more levels, than a training YAML has")
        _check_anchor(event, anchors)
        if name in ("MappingStartEvent", "SequenceStartEvent"):
            unfinished.append((event, []))
            continue
        if name in ("MappingEndEvent", "SequenceEndEvent"):
            start, children = unfinished.pop()
            node = _node(start, event.end_mark.index, tuple(children))
        elif name in _KINDS:
            node = _node(event, event.end_mark.index, ())
        else:
            continue
        if unfinished:
            unfinished[-1][1].append(node)
        else:
            root = node
    return None if root is None or root.blank else root


def _check_anchor(event: Any, anchors: set[str]) -> None:
    """Note an anchor; refuse one that is given twice, and an alias without one."""
    anchor = getattr(event, "anchor", None)
    if anchor is None:
        return
    line, name = event.start_mark.line + 1, clean(anchor, 40)
    if (type(event).__name__ == "AliasEvent") != (anchor in anchors):
        known = "stands twice" if anchor in anchors else f"is missing, but there is a *{name}"
        raise at_line(line, f"the anchor &{name} {known}")
    anchors.add(anchor)


def _node(event: Any, end: int, children: tuple[Node, ...]) -> Node:
    kind = _KINDS[type(event).__name__]
    mark = event.start_mark
    if kind in (MAPPING, SEQUENCE):
        value, style = "", FLOW if event.flow_style else ""
    else:
        value, style = getattr(event, "value", event.anchor), getattr(event, "style", None) or ""
    return Node(
        kind=kind,
        start=mark.index,
        end=end,
        line=mark.line + 1,
        column=mark.column,
        value=value,
        style=style,
        tag=getattr(event, "tag", None),
        anchor=None if kind == ALIAS else event.anchor,
        children=children,
    )
