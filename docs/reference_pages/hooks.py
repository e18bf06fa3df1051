"""A page for every hook: its signature, what it is for, and the data that it gives."""

from __future__ import annotations

from reference_pages.api import described
from reference_pages.docstrings import as_markdown
from reference_pages.markdown import WRITTEN, fenced, page
from reference_pages.source import Item, imported, item, items, names_in

HOOKS = "ftadvise.hookspecs"


def hooks() -> dict[str, Item]:
    """Return every hook by its name."""
    return {found.name: found for found in items(HOOKS)}


def pages() -> dict[str, str]:
    """Return the page of every hook by its path."""
    origin = imported(HOOKS)
    found: dict[str, str] = {}
    for name, hook in hooks().items():
        returned = hook.signature.partition(" -> ")[2]
        given = sorted(names_in([returned]) & origin.keys()) if returned else []
        parts = [fenced(hook.signature, "python"), as_markdown(hook.doc)]
        for kind in given:
            parts += [f"## {kind}", described(item(origin[kind], kind))]
        if name == "register_rules":
            for kind in ("Case", "Finding"):
                parts += [f"## {kind}", described(item(origin["Rule"], kind))]
        found[f"hooks/{name}.md"] = page(name, WRITTEN, *parts)
    return found
