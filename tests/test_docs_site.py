"""The documentation as a site: complete, without a link to nowhere, and usable offline."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import ROOT

pytestmark = pytest.mark.system
LOADED = re.compile(r"""<(?:script|link|img|source)\b[^>]*?\b(?:src|href|srcset)="([^"]+)""")


def build(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def small_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with the pages of this one, to break."""
    top = tmp_path_factory.mktemp("project")
    unwanted = shutil.ignore_patterns("*.gz", "__pycache__")
    for name in ("docs", "benchmarks", "examples"):
        shutil.copytree(ROOT / name, top / name, ignore=unwanted)
    for page in [*ROOT.glob("*.md"), ROOT / "mkdocs.yml"]:
        shutil.copy(page, top)
    return top


@pytest.mark.parametrize(
    ("page", "added", "said"),
    [
        ("docs/watch.md", "[more](nowhere.md)", "nowhere.md"),
        ("docs/watch.md", "[more](train.md#nowhere)", "#nowhere"),
        ("docs/watch.md", "![a picture](pictures/nowhere.svg)", "nowhere.svg"),
        ("README.md", "[more](docs/nowhere.md)", "nowhere.md"),
        ("docs/lonely.md", "# Lonely", "lonely.md"),
    ],
)
def test_what_leads_nowhere_ends_the_build(
    small_copy: Path, tmp_path: Path, page: str, added: str, said: str
) -> None:
    path = small_copy / page
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{added}\n", encoding="utf-8")
    try:
        done = build(small_copy, tmp_path / "site")
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    assert said in done.stderr


def test_every_page_of_the_repository_is_a_page_of_the_site(site: Path) -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("benchmarks/**/*.md")]
    for page in pages:
        path = page.relative_to(ROOT).as_posix().removeprefix("docs/")
        name = re.sub(r"README\.md$", "index.md", path).removesuffix(".md") + ".html"
        assert (site / name).exists(), f"{path} is not on the site"


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for source in LOADED.findall(page.read_text(encoding="utf-8")):
            assert not re.match(r"(\w+:)?//", source), f"{page.name} loads {source}"
    for code in [*site.rglob("*.css"), *site.rglob("*.js")]:
        if code.parent.name != "search":
            assert "//" not in re.sub(r"(^|\s)//.*", "", code.read_text(encoding="utf-8")), code


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_site_is_read_and_searched_from_a_folder(
    site: Path, chromium: Any, width: int, scheme: str
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    for name in ("index", "tutorial", "train", "method", "reference/index"):
        page.goto((site / f"{name}.html").as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{name} is {wide} pixels wider than a screen of {width}"
        assert page.get_by_role("navigation").is_visible() == (width > 800)
    page.fill("#search", "threshold swallows")
    with page.expect_navigation():
        page.click("#found a")
    assert "FT302" in page.title()
    colours = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(colours)
    page.click("#colours")
    assert page.evaluate(colours) != before
    page.goto((site / "index.html").as_uri())
    assert page.evaluate(colours) != before, "the choice is forgotten on the next page"
    assert not wrong
    page.close()
