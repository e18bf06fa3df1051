"""Writes docs/reference from the code: one page per command, hook and rule.

usage: python docs/make_reference.py [--check]

With --check nothing is written; the exit code is 1 when a page is missing, stale or left over.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import click

from ftadvise import hookspecs
from ftadvise.cli import main as cli
from ftadvise.rules import all_rules
from ftadvise_trainer.commands import register_commands

REFERENCE = Path(__file__).parent / "reference"


def command_pages() -> dict[str, str]:
    """Return a page for every command, with its `--help` as it is printed."""
    pages: dict[str, str] = {}
    register_commands(cli)
    root = click.Context(cli, info_name="ftadvise", max_content_width=90, terminal_width=90)
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        help_text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        pages[f"commands/{name}.md"] = f"# ftadvise {name}\n\n```text\n{help_text}\n```\n"
    return pages


def hooks() -> dict[str, str]:
    """Return the signature of every hook by its name."""
    found: dict[str, str] = {}
    for name, function in vars(hookspecs).items():
        if inspect.isfunction(function) and hasattr(function, "ftadvise_spec"):
            found[name] = f"{name}{inspect.signature(function)}"
    return found


def hook_pages() -> dict[str, str]:
    """Return a page for every hook."""
    pages: dict[str, str] = {}
    for name, signature in hooks().items():
        doc = inspect.getdoc(getattr(hookspecs, name)) or ""
        pages[f"hooks/{name}.md"] = f"# {name}\n\n```python\n{signature}\n```\n\n{doc}\n"
    return pages


def rule_pages() -> dict[str, str]:
    """Return a page for every rule."""
    pages: dict[str, str] = {}
    for rule in all_rules():
        body = inspect.cleandoc(rule.doc)
        pages[f"rules/{rule.code}.md"] = f"# {rule.code} {rule.name}\n\n{body}\n"
    return pages


def all_pages() -> dict[str, str]:
    """Return every page by its path under docs/reference, the index among them."""
    parts = {"Commands": command_pages(), "Hooks": hook_pages(), "Findings": rule_pages()}
    lines = ["# Reference", "", "Written by `python docs/make_reference.py`; do not edit by hand."]
    for title, pages in parts.items():
        lines += ["", f"## {title}", ""]
        lines += [f"- [{text.splitlines()[0][2:]}]({path})" for path, text in pages.items()]
    index = {"README.md": "\n".join(lines) + "\n"}
    return index | parts["Commands"] | parts["Hooks"] | parts["Findings"]


def stale(pages: dict[str, str]) -> list[str]:
    """Return the paths that differ from what the code says, left-over ones included."""
    there = {str(p.relative_to(REFERENCE)): p for p in REFERENCE.rglob("*.md")}
    wrong = [p for p, text in pages.items() if p not in there or there[p].read_text() != text]
    return wrong + [path for path in there if path not in pages]


def main() -> None:
    """Write the pages, or check them."""
    pages = all_pages()
    if "--check" in sys.argv[1:]:
        wrong = stale(pages)
        print("\n".join(wrong) or "docs/reference is up to date")
        sys.exit(1 if wrong else 0)
    for path in stale(pages):
        (REFERENCE / path).unlink(missing_ok=True)
    for path, text in pages.items():
        (REFERENCE / path).parent.mkdir(parents=True, exist_ok=True)
        (REFERENCE / path).write_text(text)


if __name__ == "__main__":
    main()
