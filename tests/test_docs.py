"""The documentation cannot lag behind the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from doc_scripts import load

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
]


def test_every_command_hook_and_rule_has_its_page_as_the_code_says_it() -> None:
    command = [sys.executable, "docs/make_reference.py", "--check"]
    bare = {**os.environ, "FTADVISE_NO_PLUGINS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=bare, check=False)
    assert done.returncode == 0, f"run python docs/make_reference.py:\n{done.stdout}{done.stderr}"


def test_every_hook_is_tested_by_name() -> None:
    tests = "\n".join(p.read_text() for p in (ROOT / "tests").rglob("*.py"))
    tests += "\n".join(p.read_text() for p in (ROOT / "examples").rglob("*.py"))
    for hook in load("make_reference").hooks():
        assert hook in tests, f"no test implements or calls {hook}"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub, and the site, give to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.*)$|^(.+)\n(?:-{3,}|={3,})$", text, re.MULTILINE)
    headings = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", first or second) for first, second in found]
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#([^)\s]*))?\)", page.read_text()):
        if target.startswith(("http:", "https:")):
            continue
        there = page.parent / target if target else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{page.name} links to {target}#{anchor}"


def test_every_page_is_in_the_nav_of_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    for page in PAGES:
        path = page.relative_to(ROOT).as_posix().removeprefix("docs/")
        folders = {f"{folder}/" for folder in map(str, Path(path).parents)}
        named = set(re.findall(r"[\w./-]+(?:\.md|/)(?=\n)", nav))
        assert named & {path, *folders}, f"mkdocs.yml does not name {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_on_a_page_name_scripts_that_exist(page: Path) -> None:
    for script in re.findall(r"\b(?:benchmarks|docs|examples)/[\w/.-]+\.py\b", page.read_text()):
        assert (ROOT / script).exists(), f"{page.name} names {script}"


def test_every_script_of_the_benchmarks_has_its_row() -> None:
    pages = "\n".join(p.read_text() for p in (ROOT / "benchmarks").rglob("*.md"))
    for script in sorted((ROOT / "benchmarks").rglob("*.py")):
        if "__main__" in script.read_text():
            name = str(script.relative_to(ROOT))
            assert name in pages, f"no README in benchmarks says what {name} is for"


def test_every_picture_is_on_a_page_and_has_its_title() -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    for picture in sorted((ROOT / "docs" / "pictures").iterdir()):
        assert f"pictures/{picture.name})" in pages, f"no page shows {picture.name}"
        top = ElementTree.parse(picture).getroot()
        assert top[0].tag.endswith("title"), f"{picture.name} says nothing to who cannot see it"


def test_every_folder_has_its_purpose_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    ours = {
        "advisor",
        "trainer",
        "plugins",
        "tests",
        "benchmarks",
        "examples",
        "docs",
        "checkpoints",
    }
    for folder in ours & {p.name for p in ROOT.iterdir() if p.is_dir()}:
        assert f"`{folder}/`" in text
    for room in (ROOT / "advisor" / "ftadvise").iterdir():
        if room.suffix == ".py" and not room.name.startswith("__"):
            assert f"`{room.name}`" in text, f"README does not say what {room.name} is for"
        if (room / "__init__.py").is_file():
            assert f"{room.name}/`" in text, f"README does not say what {room.name}/ is for"


def test_nothing_in_the_repository_refers_to_what_lies_outside_it() -> None:
    for path in ROOT.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        if (
            path.suffix in (".py", ".md", ".toml", ".yaml")
            and not hidden
            and path != Path(__file__)
        ):
            assert "../shared" not in path.read_text(), path
