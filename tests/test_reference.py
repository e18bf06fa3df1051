"""The reference leaves nothing out, and its links lead to headings that are there."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest
from doc_scripts import DOCS, load

import ftadvise
from ftadvise_trainer.settings.keys import RESERVED, SECTIONS

REFERENCE = DOCS / "reference"
ROOMS = [DOCS.parent / name for name in ("advisor", "trainer", "plugins")]
PAGES = sorted(REFERENCE.rglob("*.md"))


def text(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def headings(page: Path) -> list[str]:
    body = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"^#+ (.+)$", body, re.MULTILINE)
    underlined = re.findall(r"^(.+)\n-{3,}$", body, re.MULTILINE)
    return [heading.strip("`") for heading in (*found, *underlined)]


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def in_code(pattern: str) -> set[str]:
    files = (path for room in ROOMS for path in room.rglob("*.py"))
    return {name for path in files for name in re.findall(pattern, path.read_text("utf-8"))}


def test_every_key_of_a_training_yaml_has_its_anchor() -> None:
    found = headings(REFERENCE / "settings.md")
    for section in SECTIONS.values():
        for field in dataclasses.fields(section):
            assert field.name == "more" or found.count(field.name) == 1
    for key in RESERVED:
        assert f"| `{key}` |" in text("settings.md")


def test_every_error_code_that_is_raised_has_its_anchor() -> None:
    codes = in_code(r"code=\"(FT[459]\d\d)\"")
    assert codes
    assert codes - set(headings(REFERENCE / "errors.md")) == set()


def test_every_public_name_has_its_anchor() -> None:
    named = {name for name in ftadvise.__all__ if not name.startswith("__")}
    assert named - set(headings(REFERENCE / "python.md")) == set()


def test_every_callback_has_its_anchor() -> None:
    folder = ROOMS[1] / "ftadvise_trainer" / "callbacks"
    code = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    named = set(re.findall(r"^class ([A-Z]\w+)\(.*(?:Callback|EarlyStop)\b", code, re.MULTILINE))
    assert {"BestK", "EarlyStop", "AdvisorCallback"} <= named
    said = " ".join(headings(REFERENCE / "python-callbacks.md"))
    assert [name for name in named if name not in said] == []


def test_every_environment_variable_is_told() -> None:
    for name in in_code(r"[\"']_?(FTADVISE_[A-Z_]+)[\"']") - {"FTADVISE_API"}:
        assert name in text("environment.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REFERENCE)))
def test_links_to_a_heading_lead_to_one(page: Path) -> None:
    for target, place in re.findall(r"\]\(([^)\s#]*)#([^)]+)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            there = page if not target else page.parent / target
            assert place in map(anchor, headings(there)), f"{page.name}: {target}#{place}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REFERENCE)))
def test_no_heading_of_a_page_stands_there_twice(page: Path) -> None:
    found = [heading for heading in headings(page) if heading != "Options"]
    assert len(found) == len(set(found))


def test_a_page_that_is_missing_changed_or_left_over_is_found() -> None:
    make_reference = load("make_reference")
    there = {
        path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("reference", "schemas")
        for path in (DOCS / folder).rglob("*.*")
    }
    assert make_reference.stale(there) == []
    left = there.pop("reference/errors.md")
    assert make_reference.stale(there) == ["reference/errors.md"]
    assert make_reference.stale(there | {"reference/errors.md": left + "."}) == [
        "reference/errors.md"
    ]
    more = {"reference/errors.md": left, "reference/new.md": "# New\n"}
    assert make_reference.stale(there | more) == ["reference/new.md"]


def room(name: str) -> ModuleType:
    load("make_reference")  # which puts docs/ on the path
    return importlib.import_module(f"reference_pages.{name}")


def test_a_docstring_becomes_markdown_with_its_sections() -> None:
    docstrings = room("docstrings")
    doc = docstrings.parsed(
        """Say `a < b` where a < b.

        Args:
            one: The first, on
                two lines.
            two: The second.

        Returns:
            The answer.

        Raises:
            ValueError: There is none.
        """
    )
    assert doc.summary == "Say `a < b` where a < b."
    assert docstrings.as_markdown(doc) == (
        "Say `a < b` where a &lt; b.\n\n**Arguments**\n\n"
        "- `one`: The first, on\n  two lines.\n- `two`: The second.\n\n"
        "**Returns** The answer.\n\n**Raises**\n\n- `ValueError`: There is none."
    )


def test_a_signature_is_as_it_was_written() -> None:
    found = room("source").item("ftadvise.readers", "read").signature
    assert found.startswith(
        "read(\n    path: str | os.PathLike[str],\n    run: str | None = None,\n"
    )
    assert found.endswith(") -> Run")


def test_a_cell_that_would_break_a_table_is_refused() -> None:
    markdown = room("markdown")
    assert markdown.table(("a",), [("one\n two",)]) == "| a |\n|---|\n| one two |"
    with pytest.raises(ValueError, match="cannot hold"):
        markdown.table(("a",), [("x|y",)])
