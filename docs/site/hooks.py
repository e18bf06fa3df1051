"""What mkdocs does not do by itself for the site (hooks of mkdocs.yml).

- Pages at the root and in `benchmarks/` are pages of the site, under the same names; their links,
  and links to them, are written for the repository and are turned here into links of the site.
- A file that a page links to (a YAML, an output) goes onto the site with it.
- A folder in the nav stands for all pages in it.
- Anchors are those that GitHub gives.
- The search index becomes a script, since a page that is opened from a folder cannot fetch.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any, cast

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = "docs/"
TITLES = {"rules": "Findings"}
"""Of folders that are called otherwise on their pages."""

Entry = str | dict[str, Any]
"""An entry of the nav: a page, or a title with a page or with entries of its own."""

LINK = re.compile(r"(\]\(|(?:src|href|srcset)=\")([^)\s\"#]+)")


def pages_outside() -> list[str]:
    """Return the pages that do not lie in docs/, by their paths in the repository."""
    found = [*ROOT.glob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def site_path(path: str) -> str:
    """Return where a file of the repository lies on the site: what is in docs/ is its top."""
    return path.removeprefix(DOCS)


def repository_path(path: str) -> str:
    """Return where a page of the site lies in the repository."""
    return path if path in pages_outside() else DOCS + path


def slug(heading: str, separator: str = "-") -> str:
    """Return GitHub's anchor of a heading: lower case, no punctuation, a hyphen for each space."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def linked(markdown: str, page: str) -> dict[str, str]:
    """Return the local links of a page of the repository: as written, and where they lead."""
    targets = [target for _, target in LINK.findall(markdown) if not re.match(r"\w+:", target)]
    folder = posixpath.dirname(page)
    return {target: posixpath.normpath(posixpath.join(folder, target)) for target in targets}


def expanded(nav: list[Entry], outside: list[str], docs: Path) -> list[Entry]:
    """Return the nav with the pages of a folder in place of the folder."""
    whole: list[Entry] = []
    for entry in nav:
        title, value = ("", entry) if isinstance(entry, str) else next(iter(entry.items()))
        if not isinstance(value, str):
            whole.append({title: expanded(value, outside, docs)})
        elif value.endswith("/"):
            inside = sorted(p.relative_to(docs).as_posix() for p in (docs / value).rglob("*.md"))
            inside += [path for path in outside if path.startswith(value)]
            pages = by_folder(inside, value)
            whole += [{title: pages}] if title else pages
        else:
            whole.append(entry)
    return whole


def by_folder(paths: list[str], folder: str) -> list[Entry]:
    """Return nav entries for pages below a folder: its own first, then a section a subfolder."""
    own = [p for p in paths if "/" not in p[len(folder) :]]
    first = [p for p in own if p.endswith("README.md")]
    below: dict[str, list[str]] = {}
    for path in paths:
        name, slash, _ = path[len(folder) :].partition("/")
        if slash:
            below.setdefault(name, []).append(path)
    sections: list[Entry] = []
    for name, inside in below.items():
        title = TITLES.get(name, name.replace("_", " ").capitalize())
        sections += [{title: inside}] if len(inside) > 1 else inside
    others = [p for p in own if p not in first]
    return [*({"Overview": path} for path in first), *others, *sections]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the nav, and take GitHub's anchors."""
    nav = cast("list[Entry]", config["nav"])
    config["nav"] = expanded(nav, pages_outside(), Path(config.docs_dir))
    cast("dict[str, dict[str, Any]]", config["mdx_configs"])["toc"]["slugify"] = slug
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere, and what any page links to."""
    for path in pages_outside():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    for file in list(files.documentation_pages()):
        for path in linked(file.content_string, repository_path(file.src_uri)).values():
            lies = ROOT / path
            if lies.is_file() and site_path(path) not in files.src_uris:
                files.append(File.generated(config, site_path(path), abs_src_path=str(lies)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    here = page.file.src_uri
    leads = linked(markdown, repository_path(here))

    def relative(match: re.Match[str]) -> str:
        before, target = match.groups()
        if target not in leads:
            return match.group()
        return before + posixpath.relpath(site_path(leads[target]), posixpath.dirname(here) or ".")

    return LINK.sub(relative, markdown)


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Turn the search index into a script."""
    index = Path(config.site_dir) / "search" / "search_index.json"
    text = index.read_text(encoding="utf-8")
    index.with_suffix(".js").write_text(f"window.searchIndex = {text};\n", encoding="utf-8")
    index.unlink()
