"""`ftadvise plugins`: what is installed, and what each plugin adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli.output import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.plugins import Plugin, Registry

# What the things that a hook gives are called, and which attribute names them.
_NOUNS = {
    "register_readers": ("readers", "name"),
    "register_laws": ("laws", "name"),
    "register_stop_policies": ("stop policies", "name"),
    "register_rules": ("rules", "code"),
    "register_model_families": ("model families", "name"),
    "register_commands": ("commands", "name"),
}

Gives = dict[str, dict[str, dict[str, str]]]
"""By plugin and kind of thing: the names of what it adds, each with its description, or ""."""

_WIDTH = 80


@click.command(name="plugins")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text")
def command(form: str) -> None:
    """List the plugins and what each of them adds.

    To leave one out, set FTADVISE_BLOCK_PLUGINS=NAME; FTADVISE_NO_PLUGINS=1 leaves out all but
    what is built in.
    """
    from ftadvise import plugins

    registry = plugins.registry()
    gives = _gives(registry)
    entries = list(registry.plugins.values())
    if form == "text":
        write(_text(entries, gives))
        return
    from ftadvise.reports import jsonout

    rows = [
        {
            "name": entry.name,
            "version": entry.version,
            "third_party": entry.third_party,
            "hooks": list(entry.hooks),
            "gives": {noun: list(things) for noun, things in gives.get(entry.name, {}).items()},
            "error": entry.error,
        }
        for entry in entries
    ]
    write(jsonout.dumps({"schema": "ftadvise.plugins/1", "plugins": rows}))


def _gives(registry: Registry) -> Gives:
    """Ask every plugin for what it adds, by plugin and hook."""
    found: Gives = {}
    for hook, (noun, attribute) in _NOUNS.items():
        for implementation in getattr(registry.manager.hook, hook).get_hookimpls():
            entry = registry.plugins[implementation.plugin_name]
            try:
                names = _names(implementation.function, hook, attribute)
            except Exception as error:  # noqa: BLE001 - named in the list like all failures
                entry.error = entry.error or f"{hook}: {type(error).__name__}: {error}"
                continue
            found.setdefault(entry.name, {})[noun] = names
    return found


def _names(function: Callable[..., Any], hook: str, attribute: str) -> dict[str, str]:
    """Return the names of what a hook adds, with their descriptions."""
    if hook == "register_commands":
        scratch = click.Group()
        function(scratch)
        return dict.fromkeys(sorted(scratch.commands), "")
    return {
        str(getattr(thing, attribute)): str(getattr(thing, "description", ""))
        for thing in function()
    }


def _text(entries: list[Plugin], gives: Gives) -> str:
    from ftadvise.reports.wrapping import wrap
    from ftadvise.text import clean

    lines: list[str] = []
    for entry in entries:
        origin = clean(entry.version, 40) if entry.third_party else "built in"
        lines.append(f"{clean(entry.name)} {origin}".rstrip())
        for noun, things in gives.get(entry.name, {}).items():
            if any(things.values()):
                lines += [f"  {noun}:", *_described(things)]
                continue
            shown = ", ".join(clean(name, 60) for name in things) or "none"
            lines += wrap(f"{noun}: {shown}", _WIDTH, "  ", "    ")
        if entry.error:
            lines += wrap(f"not in use: {clean(entry.error, 500)}", _WIDTH, "  ", "    ")
    hint = (
        "Leave one out with FTADVISE_BLOCK_PLUGINS=NAME, all but what is built in with "
        "FTADVISE_NO_PLUGINS=1."
    )
    return "\n".join([*lines, "", *wrap(hint, _WIDTH)])


def _described(things: dict[str, str]) -> list[str]:
    """Return names and descriptions in two columns."""
    from ftadvise.reports.wrapping import wrap
    from ftadvise.text import clean

    names = [clean(name, 30) for name in things]
    size = max(map(len, names))
    lines: list[str] = []
    for name, description in zip(names, things.values(), strict=True):
        first, later = f"    {name:<{size}}  ", " " * (size + 6)
        lines += wrap(clean(description, 200), _WIDTH, first, later) or [first.rstrip()]
    return lines
