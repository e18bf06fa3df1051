"""Finds, loads and lists plugins.

Our own readers, laws, stop policies and rules come through the same hooks as everyone's. A plugin
that cannot be loaded or that fails inside a hook is set aside and named in `ftadvise plugins`; it
never takes the answer with it.

Environment:
    FTADVISE_NO_PLUGINS: set to 1 to load no third-party plugin at all.
    FTADVISE_BLOCK_PLUGINS: names of plugins to leave out, separated by commas.
"""

from __future__ import annotations

import functools
import importlib
import os
from dataclasses import dataclass, field
from typing import Any

import pluggy

from ftadvise import entrypoints, hookspecs

GROUP = "ftadvise"

# Loaded when a hook is first needed, so that `ftadvise --help` stays light.
BUILT_IN = ("ftadvise.readers", "ftadvise.laws", "ftadvise.stopping", "ftadvise.rules")


@dataclass
class Plugin:
    """One plugin as `ftadvise plugins` lists it.

    Attributes:
        name: Name of the entry point, or of the module for our own.
        version: Version of the distribution it comes from; empty when unknown.
        hooks: Names of the hooks it implements.
        error: Why it is not in use; empty when all is well.
    """

    name: str
    version: str = ""
    hooks: tuple[str, ...] = ()
    error: str = ""
    third_party: bool = True


@dataclass
class Registry:
    """The plugin manager together with what is known of each plugin."""

    manager: pluggy.PluginManager
    plugins: dict[str, Plugin] = field(default_factory=dict[str, Plugin])

    def collect(self, hook: str) -> list[Any]:
        """Return what all plugins give for `hook`, in the order in which they were loaded.

        A plugin that raises, or returns something that is no list, is noted in its entry.
        """
        found: list[Any] = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            entry = self.plugins[implementation.plugin_name]
            try:
                result = implementation.function()
                if not isinstance(result, list | tuple):
                    raise TypeError(f"{hook} returned {type(result).__name__}, not a list")
                found.extend(result)  # pyright: ignore[reportUnknownArgumentType]
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises
                entry.error = f"{hook}: {type(error).__name__}: {error}"
        return found

    def call_commands(self, cli: Any) -> None:
        """Let every plugin add its commands to `cli`; one that fails is noted and left out."""
        for implementation in self.manager.hook.register_commands.get_hookimpls():
            try:
                implementation.function(cli)
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises
                entry = self.plugins[implementation.plugin_name]
                entry.error = f"register_commands: {type(error).__name__}: {error}"


@functools.cache
def registry() -> Registry:
    """Return the plugins that are installed, our own first."""
    made = third_party()
    for module in BUILT_IN:
        _register(
            made, Plugin(module, third_party=False), lambda m=module: importlib.import_module(m)
        )
    return Registry(
        made.manager, dict(sorted(made.plugins.items(), key=lambda p: p[1].third_party))
    )


def third_party() -> Registry:
    """Return the installed third-party plugins alone, without loading numpy for our own."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    made = Registry(manager)
    if os.environ.get("FTADVISE_NO_PLUGINS", "") not in ("", "0"):
        return made
    blocked = {name.strip() for name in os.environ.get("FTADVISE_BLOCK_PLUGINS", "").split(",")}
    for entry in entrypoints.entry_points(GROUP):
        plugin = Plugin(entry.name, version=entry.version)
        if entry.name in blocked:
            plugin.error = "blocked by FTADVISE_BLOCK_PLUGINS"
            made.plugins[entry.name] = plugin
        else:
            _register(made, plugin, entry.load)
    return made


def _register(made: Registry, plugin: Plugin, load: Any) -> None:
    made.plugins[plugin.name] = plugin
    try:
        module = load()
        made.manager.register(module, plugin.name)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        plugin.error = f"{type(error).__name__}: {error}"
        return
    callers = made.manager.get_hookcallers(module) or []
    plugin.hooks = tuple(sorted(caller.name for caller in callers))


def collect(hook: str) -> list[Any]:
    """Return what all installed plugins give for `hook`."""
    return registry().collect(hook)
