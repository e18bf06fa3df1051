"""Changes settings in a YAML text and nothing else, and makes sure of it before it says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise.config import placing, sharing
from ftadvise.config.errors import ConfigFileError, at_line
from ftadvise.config.tree import FLOW, MAPPING, Node, parse
from ftadvise.config.values import check_type, says, written
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftadvise.config.layouts import Setting
    from ftadvise.config.values import Value


@dataclass(frozen=True)
class Change:
    """One setting that a patch changed.

    Attributes:
        key: Its name in the file.
        old: What was written there; None where the key was missing.
        new: What is written now.
    """

    key: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Patch:
    """A YAML text with its settings changed; the same text where nothing had to be."""

    text: str
    changes: tuple[Change, ...]


# What a node says, without its place: kind, style, tag, anchor, value, and the same of its children.
_Outline = tuple[Any, ...]


def patch(text: str, section: str | None, settings: Sequence[Setting]) -> Patch:
    """Return `text` with `settings` in it.

    Only the bytes of values that have to change are changed; keys that are missing are added at
    the end of their block, unless their setting says that they stay out.

    Args:
        text: A YAML text, with its line ends as they are and its byte order mark, if it has one.
        section: Name of the mapping that the settings are in; None for the top level.
        settings: What to set.

    Raises:
        ConfigFileError: FT433 or FT434 when that cannot be done safely.
    """
    root = parse(text)
    if root.kind != MAPPING:
        raise at_line(root.line, f"is a {root.kind}, and no settings by name")
    sharing.check_keys(root)
    name, target = _target(root, section)
    wanted, missing = _wanted(target, settings)
    if target.kind == MAPPING:
        sharing.check_own(root, name, target, {n for s in settings for n in s.names})
    if not wanted and not missing:
        return Patch(text, ())
    edits = [placing.replacement(node, setting.value) for node, setting in wanted]
    if missing:
        edits.append(_addition(text, root, target, section, missing))
    patched = placing.apply(text, edits)
    news = {id(node): setting.value for node, setting in wanted}
    _check(patched, _expected(root, target, section, news, missing))
    changes = [
        Change(key.value, _raw(text, node), written(setting.value))
        for key, node, setting in _with_keys(target, wanted)
    ]
    changes += [Change(key, None, written(value)) for key, value in missing.items()]
    return Patch(patched, tuple(changes))


def _target(root: Node, section: str | None) -> tuple[str, Node]:
    """Return the node that the settings are in: `root` itself where their section is missing."""
    if section is None:
        return "the top level", root
    for key, value in root.pairs:
        if key.value != section:
            continue
        if value.kind != MAPPING and not (value.blank and root.style != FLOW):
            name = clean(section, 80)
            raise at_line(value.line, f"{name} is a {value.kind}, and no settings by name")
        return section, value
    if root.style == FLOW:
        raise at_line(root.line, f"there is no {section} in a file that is one {{...}}")
    return "the top level", root


def _wanted(
    target: Node, settings: Sequence[Setting]
) -> tuple[list[tuple[Node, Setting]], dict[str, Value]]:
    """Return the values that have to change, and the settings that are not there."""
    wanted: list[tuple[Node, Setting]] = []
    missing: dict[str, Value] = {}
    pairs = target.pairs if target.kind == MAPPING else ()
    for setting in settings:
        found = [(key, value) for key, value in pairs if key.value in setting.names]
        if len(found) > 1:
            names = " and ".join(clean(key.value, 80) for key, _ in found)
            raise at_line(found[1][0].line, f"{names} mean the same and are both there")
        if not found and setting.add:
            missing[setting.names[0]] = setting.value
        for key, node in found:
            check_type(node, key.value, setting.value)
            if not any(says(node, value) for value in (setting.value, *setting.alike)):
                wanted.append((node, setting))
    return wanted, missing


def _with_keys(
    target: Node, wanted: list[tuple[Node, Setting]]
) -> list[tuple[Node, Node, Setting]]:
    keys = {id(value): key for key, value in target.pairs} if wanted else {}
    return [(keys[id(node)], node, setting) for node, setting in wanted]


def _raw(text: str, node: Node) -> str:
    return text[node.start : node.end]


def _addition(
    text: str, root: Node, target: Node, section: str | None, missing: Mapping[str, Value]
) -> placing.Edit:
    if section is None or target is not root:
        if target.kind == MAPPING:
            return placing.additions(text, target, missing)
        return placing.into_blank(text, root, target, missing)
    return placing.section_in(text, root, section, missing)


def _check(patched: str, expected: _Outline) -> None:
    """Raise `ConfigFileError` unless the patched text says what is expected and nothing else."""
    try:
        same = _outline(parse(patched)) == expected
    except ConfigFileError:
        same = False
    if not same:
        raise ConfigFileError("the settings cannot be placed without changing something else")


def _outline(node: Node) -> _Outline:
    children = tuple(_outline(child) for child in node.children)
    return (node.kind, node.style, node.tag, node.anchor, node.value, children)


def _expected(
    root: Node,
    target: Node,
    section: str | None,
    news: Mapping[int, Value],
    missing: Mapping[str, Value],
) -> _Outline:
    """Return the outline that the file has to have afterwards."""
    added = tuple(part for key, value in missing.items() for part in (_plain(key), _plain(value)))
    if missing and section is not None and target is root:
        added = (_plain(section), (MAPPING, "", None, None, "", added))

    def outline(node: Node) -> _Outline:
        if id(node) in news:
            value = news[id(node)]
            style = "" if value is None else node.style
            return (node.kind, style, node.tag, node.anchor, written(value), ())
        children = tuple(outline(child) for child in node.children)
        if node is target and missing:
            return (MAPPING, _style(node), node.tag, node.anchor, "", children + added)
        return (node.kind, node.style, node.tag, node.anchor, node.value, children)

    return outline(root)


def _plain(value: Value) -> _Outline:
    return ("scalar", "", None, None, written(value), ())


def _style(node: Node) -> str:
    return node.style if node.kind == MAPPING else ""
