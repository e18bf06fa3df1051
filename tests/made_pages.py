"""A page read back: its elements, its text and the data within it, for the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = frozenset({"meta", "link", "br", "path", "rect", "circle"})


@dataclass
class Element:
    """One element: its name, attributes, and all text within it."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list[Element] = field(default_factory=list["Element"])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Element] = []
        self.open: list[Element] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.found.append(element)
        if self.open:
            self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1].name != tag:
            self.wrong.append(tag)
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


@dataclass
class Page:
    """A page that was read."""

    elements: list[Element]
    wrong: list[str]

    def all(self, name: str, kind: str | None = None) -> list[Element]:
        """Return the elements of a name, those of a class where one is given."""
        return [
            one
            for one in self.elements
            if one.name == name
            and (kind is None or kind in (one.attributes.get("class") or "").split())
        ]

    def data(self) -> Any:
        """Return the advice within the page."""
        [found] = [one for one in self.elements if one.attributes.get("id") == "answer-data"]
        return json.loads(found.text)

    def charts(self) -> list[dict[str, Any]]:
        """Return the data of the charts."""
        return [
            json.loads(one.text)
            for one in self.all("script")
            if one.attributes.get("type") == "application/json" and "id" not in one.attributes
        ]

    @property
    def said(self) -> str:
        """All that a person reads, in one line."""
        [body] = self.all("body")
        hidden = [one.text for one in self.elements if one.name == "script"]
        text = body.text
        for part in hidden:
            text = text.replace(part, " ")
        return " ".join(text.split())


def read_page(html: str) -> Page:
    """Return what stands on a page."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Page(reader.found, [*reader.wrong, *(one.name for one in reader.open)])
