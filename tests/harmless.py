"""What has to hold of an output, whatever the names in it are; a check for each format."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

OWN = re.compile("\x1b\\[(?:0|1|2|31|32|33|36)m")
"""The colours of our own."""
OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What a terminal obeys or hides, except the line end."""


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def strict(text: str) -> Any:
    """Read JSON as the strictest parsers do: no NaN, no half of a surrogate pair."""
    assert text.isascii()
    found = json.loads(text, parse_constant=no_constant)
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    return found


class Elements(HTMLParser):
    """The elements of a page, each with the names of its attributes, and where it leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, ...]] = set()
        self.links: set[str] = set()
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *sorted({name for name, _ in attrs})))
        self.links |= {value or "" for name, value in attrs if name in ("href", "src", "action")}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def check_text(text: str, said: str) -> None:
    assert not OBEYED.search(OWN.sub("", text))


def check_json(text: str, said: str) -> None:
    found = strict(text)
    for one in found if isinstance(found, list) else [found]:
        if "\ud800" not in said:
            assert one["source"]["path"] == said


def check_jsonl(text: str, said: str) -> None:
    for line in text.split("\n"):
        check_json(line, said)


def check_markdown(text: str, said: str) -> None:
    assert not OBEYED.search(text)
    assert "<" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert set(re.findall(r"^#+ [A-Z]\w+", text, re.MULTILINE)) <= {
        "# Training", "## Loss", "## Key", "## Strategy", "## Configuration", "## Expected",
        "## How", "## Findings",
    }  # fmt: skip
    assert text.count("```") % 2 == 0
    cells = [len(re.findall(r"(?<!\\)\|", x)) for x in text.split("\n") if x[:1] == "|"]
    assert set(cells) <= {3, 4, 5}


def check_github(text: str, said: str) -> None:
    *commands, last = text.split("\n")
    assert not OBEYED.search(text)
    assert re.fullmatch(r"\d+ runs?: .*", last)
    for command in commands:
        name, properties, _ = re.fullmatch(
            r"::(error|warning|notice) ([^:]*)::(.*)", command
        ).groups()  # type: ignore[union-attr]
        assert name
        assert {one.partition("=")[0] for one in properties.split(",")} <= {"file", "title"}
        assert len(properties.split(",")) <= 2


def check_sarif(text: str, said: str) -> None:
    [run] = strict(text)["runs"]
    for result in run["results"]:
        told = result["message"]["text"]
        assert not OBEYED.search(told)
        assert not re.search(r"(?<!\\)\]\(", told), "a link, by the rules of SARIF"


def check_junit(text: str, said: str) -> None:
    assert "<!" not in text
    root = ElementTree.fromstring(text)
    assert {part.tag for part in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "error"
    }  # fmt: skip
    told = [*root.itertext(), *(v for part in root.iter() for v in part.attrib.values())]
    assert not any(OBEYED.search(one.replace("\n", "")) for one in told)
