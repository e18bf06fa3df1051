"""Finds, loads and lists plugins.

Our own readers, laws, stop policies and rules come through the same hooks as everyone's. A plugin
that cannot be loaded, that was written for other hooks or that fails inside a hook is set aside
and named in `ftadvise plugins`; it never takes the answer with it.

Environment:
    FTADVISE_NO_PLUGINS: set to 1 to load no third-party plugin at all.
    FTADVISE_BLOCK_PLUGINS: names of plugins to leave out, separated by commas.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import time
import warnings
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pluggy

from ftadvise import entrypoints, hookspecs
from ftadvise.plugin_faults import FAULTS, other_version, perhaps_too_old, strays

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

GROUP = "ftadvise"

# Loaded when a hook is first needed, so that `ftadvise --help` stays light.
BUILT_IN = ("ftadvise.readers", "ftadvise.laws", "ftadvise.stopping", "ftadvise.rules")

_MARK = f"{GROUP}_spec"  # what `hookspec` leaves on a function


@dataclass
class Plugin:
    """One plugin as `ftadvise plugins` lists it.

    Attributes:
        name: Name of the entry point, or of the module for our own.
        version: Version of the distribution it comes from; empty when unknown.
        hooks: Names of the hooks it implements.
        error: Why it is not in use; empty when all is well.
        third_party: Whether it came through an entry point.
        distribution: Name of the distribution it comes from, as pip knows it.
        notes: What its author should know, one sentence each: a hook that goes, one that does not
            exist.
        load_ms: Milliseconds that its import took.
    """

    name: str
    version: str = ""
    hooks: tuple[str, ...] = ()
    error: str = ""
    third_party: bool = True
    distribution: str = ""
    notes: tuple[str, ...] = ()
    load_ms: float = 0.0


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
            except FAULTS as error:
                entry.error = f"{hook}: {type(error).__name__}: {error}"
        return found

    def call_commands(self, cli: Any) -> None:
        """Let every plugin add its commands to `cli`; one that fails is noted and left out."""
        for implementation in self.manager.hook.register_commands.get_hookimpls():
            try:
                implementation.function(cli)
            except FAULTS as error:
                entry = self.plugins[implementation.plugin_name]
                entry.error = f"register_commands: {type(error).__name__}: {error}"

    def add(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        """List `plugin`, and register what `load` returns unless it cannot be used."""
        self.plugins[plugin.name] = plugin
        start = time.perf_counter()
        try:
            module = load()
            plugin.load_ms = 1000.0 * (time.perf_counter() - start)
            wrong = other_version(module)
            if wrong:
                plugin.error = wrong
                return
            _register(self.manager, module, plugin)
        except FAULTS as error:
            plugin.error = f"{type(error).__name__}: {error}{perhaps_too_old(error)}"
            return
        callers = self.manager.get_hookcallers(module) or []
        plugin.hooks = tuple(sorted(caller.name for caller in callers if caller.has_spec()))


_in_use: ContextVar[Registry | None] = ContextVar("in_use", default=None)


@functools.cache
def registry() -> Registry:
    """Return the plugins that are installed, our own first."""
    # Ours are imported first, so that what they need counts as no third-party plugin's time.
    times = {name: _import_ms(name) for name in BUILT_IN}
    made = third_party()
    _add_built_in(made)
    for name, spent in times.items():
        made.plugins[name].load_ms = spent
    return Registry(
        made.manager, dict(sorted(made.plugins.items(), key=lambda p: p[1].third_party))
    )


def third_party() -> Registry:
    """Return the installed third-party plugins alone, without loading numpy for our own."""
    made = _empty()
    if os.environ.get("FTADVISE_NO_PLUGINS", "") not in ("", "0"):
        return made
    blocked = {name.strip() for name in os.environ.get("FTADVISE_BLOCK_PLUGINS", "").split(",")}
    for entry in entrypoints.entry_points(GROUP):
        plugin = Plugin(entry.name, version=entry.version, distribution=entry.distribution)
        if entry.name in blocked:
            plugin.error = "blocked by FTADVISE_BLOCK_PLUGINS"
            made.plugins[entry.name] = plugin
        elif entry.name in made.plugins or entry.name in BUILT_IN:
            plugin.name = f"{entry.name} of {entry.distribution}"
            plugin.error = f"another plugin is called {entry.name}, too, and was found first"
            made.plugins[plugin.name] = plugin
        else:
            made.add(plugin, entry.load)
    return made


@contextlib.contextmanager
def only(**modules: object) -> Generator[Registry]:
    """Have our own plugins and these in use, and no others, while the block lasts.

    For checks of a plugin that must not depend on what else is installed.

    Args:
        modules: Modules, or any objects with hooks, by the name of the plugin.
    """
    made = _empty()
    _add_built_in(made)
    for name, module in modules.items():
        made.add(Plugin(name), functools.partial(_itself, module))
    token = _in_use.set(made)
    try:
        yield made
    finally:
        _in_use.reset(token)


def collect(hook: str) -> list[Any]:
    """Return what all installed plugins give for `hook`."""
    return (_in_use.get() or registry()).collect(hook)


def hook_names() -> tuple[str, ...]:
    """Return the names of all hooks."""
    return tuple(name for name, value in vars(hookspecs).items() if hasattr(value, _MARK))


def _empty() -> Registry:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    return Registry(manager)


def _add_built_in(made: Registry) -> None:
    for name in BUILT_IN:
        made.add(Plugin(name, third_party=False), functools.partial(importlib.import_module, name))


def _import_ms(name: str) -> float:
    """Import a module, and return how many milliseconds it took; a failure is left to `add`."""
    start = time.perf_counter()
    with contextlib.suppress(Exception):
        importlib.import_module(name)
    return 1000.0 * (time.perf_counter() - start)


def _itself(module: object) -> object:
    return module


def _register(manager: pluggy.PluginManager, module: object, plugin: Plugin) -> None:
    """Register a module, and turn what pluggy warns of into notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        manager.register(module, plugin.name)
    told = [str(one.message) for one in caught]
    plugin.notes = (*dict.fromkeys(told), *strays(manager, module, hook_names()))
    try:
        for one in caught:
            _warn_once(plugin.name, one)
    except Warning:  # where warnings are errors
        manager.unregister(module)
        raise


_warned: set[tuple[str, str]] = set()


def _warn_once(name: str, warning: warnings.WarningMessage) -> None:
    """Repeat a warning where the plugin's author sees it, once however often it is loaded."""
    key = (name, str(warning.message))
    if key not in _warned:
        _warned.add(key)
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
