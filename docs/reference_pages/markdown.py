"""Pieces of Markdown that GitHub and site generators read alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

WRITTEN = "<!-- Written by docs/make_reference.py; do not edit by hand. -->"

_CODE = re.compile(r"(`[^`]*`)")
_OPTION = re.compile(r"(?<![\w`-])--[a-z][\w-]*|\$?\bFTADVISE_[A-Z_]+(?:=[\w,]+)?")


def page(title: str, *parts: str) -> str:
    """Return a whole page; parts that are empty are left out."""
    return "\n\n".join([f"# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"


def fenced(text: str, language: str = "text") -> str:
    """Return text as a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def code(text: str) -> str:
    """Return text as code within a line."""
    return f"`{text}`"


def prose(text: str) -> str:
    """Return text of a docstring as Markdown: what looks like a tag is none, outside of code."""
    parts = _CODE.split(text.replace("``", "`"))
    return "".join(
        part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(parts)
    )


def help_text(text: str) -> str:
    """Return text of `--help` as Markdown: options and variables become code."""
    parts = _CODE.split(prose(text))
    return "".join(
        part if place % 2 else _OPTION.sub(r"`\g<0>`", part) for place, part in enumerate(parts)
    )


def bullets(items: Iterable[str]) -> str:
    """Return a list; further lines of an item are set in below its first."""
    return "\n".join("- " + item.replace("\n", "\n  ") for item in items)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell becomes one line, and must hold no upright stroke."""
    lines = [_row(heads), "|" + "---|" * len(heads), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    joined = [" ".join(cell.split()) for cell in cells]
    for cell in joined:
        if "|" in cell:  # escaped in ways that differ between readers of Markdown
            raise ValueError(f"a cell of a table cannot hold {cell!r}")
    return f"| {' | '.join(joined)} |"


def anchor(heading: str) -> str:
    """Return the anchor that GitHub and site generators give to a heading without punctuation."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))
