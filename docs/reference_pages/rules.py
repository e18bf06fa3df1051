"""A page for every rule, as the rule says it."""

from __future__ import annotations

import inspect
import re
import textwrap

from ftadvise.rules import all_rules
from reference_pages.markdown import WRITTEN, fenced, page

_WIDEST = 76  # columns of an example, which is no taller than it has to be on a phone


def pages() -> dict[str, str]:
    """Return the page of every rule by its path."""
    return {
        f"rules/{rule.code}.md": page(f"{rule.code} {rule.name}", WRITTEN, _body(rule.doc))
        for rule in all_rules()
    }


def summaries() -> dict[str, tuple[str, str]]:
    """Return name and summary of each rule by its code."""
    return {rule.code: (rule.name, rule.summary) for rule in all_rules()}


def _body(doc: str) -> str:
    """Return the documentation of a rule as Markdown."""
    headed = re.sub(r"^(.+)\n-{3,}$", r"## \1\n", inspect.cleandoc(doc), flags=re.MULTILINE)
    paragraphs = re.sub(r"\n{3,}", "\n\n", headed).split("\n\n")
    return "\n\n".join(
        fenced(_narrow(paragraph)) if paragraph.startswith("    ") else paragraph
        for paragraph in paragraphs
    )


def _narrow(example: str) -> str:
    """Return an example without its indent, filled anew where a line is too long."""
    lines = textwrap.dedent(example).splitlines()
    if all(len(line) <= _WIDEST for line in lines):
        return "\n".join(lines)
    return textwrap.fill(" ".join(lines), _WIDEST, break_on_hyphens=False)
