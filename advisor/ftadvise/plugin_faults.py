"""What is wrong with the module of a plugin: its version, what it imports, hooks that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise import hookspecs
from ftadvise.text import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pluggy


# What a plugin may raise without taking the command with it: `sys.exit` within it is a fault, too.
FAULTS: tuple[type[BaseException], ...] = (Exception, SystemExit)


def other_version(module: object) -> str:
    """Say why a module was written for hooks that we do not have; nothing where it was not."""
    wanted = getattr(module, "FTADVISE_API", None)
    if wanted is not None and not isinstance(wanted, int):
        return f"its FTADVISE_API is {wanted!r}, not a whole number"
    if wanted is None or hookspecs.OLDEST_API <= wanted <= hookspecs.API:
        return ""
    ours = f"{hookspecs.OLDEST_API} to {hookspecs.API}"
    ours = ours if hookspecs.OLDEST_API < hookspecs.API else str(hookspecs.API)
    which = "ftadvise" if wanted > hookspecs.API else "the plugin"
    return (
        f"it was written for version {wanted} of the hooks, and this ftadvise has version {ours}: "
        f"upgrade {which}"
    )


def perhaps_too_old(error: BaseException) -> str:
    """Say, of a failed import from ftadvise, that the plugin may need a newer one."""
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "ftadvise":
        from ftadvise import __version__

        return f" (this is ftadvise {__version__}: does the plugin need a newer one?)"
    return ""


def strays(manager: pluggy.PluginManager, module: object, known: Collection[str]) -> Iterator[str]:
    """Name the functions that were meant as hooks and are none: misspelt, or not marked.

    Args:
        manager: The manager in which the module is registered.
        module: The module of a plugin.
        known: Names of the hooks that there are.
    """
    marked = manager.get_hookcallers(module) or []
    for caller in marked:
        optional = any(i.optionalhook for i in caller.get_hookimpls() if i.plugin is module)
        if not caller.has_spec() and not optional:
            meant = nearest(caller.name, known)
            guess = f"; did you mean {meant}?" if meant else ""
            yield f"{caller.name} is no hook, and nothing calls it{guess}"
    names = {caller.name for caller in marked}
    own = getattr(module, "__name__", None)
    for name, value in getattr(module, "__dict__", {}).items():
        if name in known and name not in names and getattr(value, "__module__", "") == own:
            yield f"{name} is not marked with @ftadvise.hookimpl, and nothing calls it"
