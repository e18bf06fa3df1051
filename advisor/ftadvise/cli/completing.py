"""What a shell offers for a word: codes, policies and plugins, without loading numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

    Items = list[CompletionItem[str]]

# Those of ftadvise.stopping, which is too heavy to import here; a test compares them.
POLICIES = ("transformers", "keras", "lightning", "rises-while-train-falls")


def code(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the codes of rules, with their names."""
    from ftadvise import plugins
    from ftadvise.rules import merged
    from ftadvise.rules.documented import documented

    rules = merged(plugins.third_party().collect("register_rules"), documented())
    return _fitting(((rule.code, rule.name) for rule in rules), incomplete)


def codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer codes and levels for the last of several between commas."""
    from ftadvise.cli.selecting import LEVELS

    before, comma, last = incomplete.rpartition(",")
    items = [*code(ctx, param, last), *_fitting(((name, "") for name in LEVELS), last)]
    return [CompletionItem(f"{before}{comma}{one.value}", help=one.help) for one in items]


def policy(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the names of stop policies."""
    from ftadvise import plugins

    theirs = plugins.third_party().collect("register_stop_policies")
    named = [(str(one.name), str(one.description)) for one in theirs if hasattr(one, "name")]
    return _fitting([*((name, "") for name in POLICIES), *named], incomplete)


def plugin(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the names of plugins that are installed, and files."""
    from ftadvise import plugins

    found = plugins.third_party().plugins.values()
    fitting = _fitting(((one.name, one.version) for one in found), incomplete)
    return [*fitting, CompletionItem(incomplete, type="file")]


def _fitting(named: Iterable[tuple[str, str]], incomplete: str) -> Items:
    """Return those that go on from what was typed, in upper or lower case."""
    typed = incomplete.lower()
    return [
        CompletionItem(name, help=description or None)
        for name, description in named
        if name.lower().startswith(typed)
    ]
