"""Plugins, what they give and what came of their checks, as text and as plain values."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from ftadvise.plugin_faults import FAULTS
from ftadvise.reports.wrapping import wrap
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.authoring import NewPlugin
    from ftadvise.plugins import Plugin, Registry
    from ftadvise.testing.whole_plugins import Outcome

# What the things that a hook gives are called, and which attribute names them.
_NOUNS = {
    "register_readers": ("readers", "name"),
    "register_laws": ("laws", "name"),
    "register_stop_policies": ("stop policies", "name"),
    "register_rules": ("rules", "code"),
    "register_model_families": ("model families", "name"),
    "register_commands": ("commands", "name"),
}

Gives = dict[str, dict[str, str]]
"""By kind of thing: the names of what a plugin adds, each with its description, or ""."""

_WIDTH = 80


def all_gives(registry: Registry) -> dict[str, Gives]:
    """Ask every plugin for what it adds, by the name of the plugin."""
    found: dict[str, Gives] = {}
    for hook, (noun, attribute) in _NOUNS.items():
        for implementation in getattr(registry.manager.hook, hook).get_hookimpls():
            entry = registry.plugins[implementation.plugin_name]
            try:
                names = _names(implementation.function, hook, attribute)
            except FAULTS as error:
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


def as_dict(entry: Plugin, gives: Gives) -> dict[str, Any]:
    """Return a plugin as the JSON has it."""
    return {
        "name": entry.name,
        "version": entry.version,
        "distribution": entry.distribution,
        "third_party": entry.third_party,
        "hooks": list(entry.hooks),
        "gives": {noun: list(things) for noun, things in gives.items()},
        "error": entry.error,
        "notes": list(entry.notes),
        "load_ms": round(entry.load_ms, 1),
    }


def listed(entries: list[Plugin], gives: dict[str, Gives], times: bool) -> str:
    """Return the list of plugins; with `times`, how long each took to be imported."""
    lines: list[str] = []
    for entry in entries:
        lines.append(_head(entry) + (f" ({entry.load_ms:.1f} ms)" if times else ""))
        for noun, things in gives.get(entry.name, {}).items():
            if any(things.values()):
                lines += [f"  {noun}:", *_described(things)]
                continue
            shown = ", ".join(clean(name, 60) for name in things) or "none"
            lines += wrap(f"{noun}: {shown}", _WIDTH, "  ", "    ")
        if entry.error:
            lines += wrap(f"not in use: {clean(entry.error, 500)}", _WIDTH, "  ", "    ")
        for note in entry.notes:
            lines += wrap(f"note: {clean(note, 300)}", _WIDTH, "  ", "    ")
    hint = (
        "Leave one out with FTADVISE_BLOCK_PLUGINS=NAME, all but what is built in with "
        "FTADVISE_NO_PLUGINS=1."
    )
    return "\n".join([*lines, "", *wrap(hint, _WIDTH)])


def _head(entry: Plugin) -> str:
    origin = clean(entry.version, 40) if entry.third_party else "built in"
    return f"{clean(entry.name)} {origin}".rstrip()


def _described(things: dict[str, str]) -> list[str]:
    """Return names and descriptions in two columns."""
    names = [clean(name, 30) for name in things]
    size = max(map(len, names))
    lines: list[str] = []
    for name, description in zip(names, things.values(), strict=True):
        first, later = f"    {name:<{size}}  ", " " * (size + 6)
        lines += wrap(clean(description, 200), _WIDTH, first, later) or [first.rstrip()]
    return lines


def begun(made: NewPlugin, kind: str) -> str:
    """Return what was written, and what to do next."""
    project, module, tests = made.files
    about = {
        project: "its name, version and entry point",
        module: f"the {kind}; comments say what to change",
        tests: "its tests, with the checks of ftadvise",
    }
    size = max(map(len, about))
    folder = clean(made.folder, 300)
    return "\n".join(
        [
            f"Wrote {folder}:",
            *(f"  {place:<{size}}  {said}" for place, said in about.items()),
            "",
            "It works as it is. Next:",
            f"  cd {shlex.quote(folder)}",
            "  pip install -e . pytest",
            "  pytest",
            f"  ftadvise plugins check {made.names.name}",
            f"  ftadvise plugins            {made.names.name} is listed, and in use",
        ]
    )


def checked_dict(entry: Plugin, outcomes: list[Outcome]) -> dict[str, Any]:
    """Return what came of the checks of a plugin as the JSON has it."""
    checks = [
        {
            "kind": one.kind,
            "name": one.name,
            "ok": not one.problem,
            "problem": one.problem,
            "note": one.note,
        }
        for one in outcomes
    ]
    return {"name": entry.name, "version": entry.version, "checks": checks}


def checked(entry: Plugin, outcomes: list[Outcome]) -> str:
    """Return what came of the checks of a plugin, a line for each thing."""
    lines = [_head(entry)]
    for one in outcomes:
        said = (
            "loads, and its hooks are known" if one.kind == "plugin" else f"{one.kind} {one.name}"
        )
        if one.problem:
            what = f"{one.kind} {one.name}"
            named = one.kind == "plugin" or one.problem.startswith(what)
            told = one.problem if named else f"{what}: {one.problem}"
            lines += wrap(clean(told, 800), _WIDTH, "  broken  ", " " * 10)
            continue
        note = f" ({one.note})" if one.note else ""
        lines += wrap(clean(said + note, 400), _WIDTH, "  ok      ", " " * 10)
    return "\n".join(lines)
