"""Finds the module of a plugin that lies on disk, installed or not."""

from __future__ import annotations

import importlib
import sys
import tomllib
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from ftadvise.errors import PluginError, UsageError
from ftadvise.plugin_faults import FAULTS
from ftadvise.plugins import GROUP, registry
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SOURCES = ("", "src")


def modules_at(path: Path) -> dict[str, object]:
    """Import the plugins at a path, by their names.

    Args:
        path: A module (`x.py`), or a folder whose `pyproject.toml` has entry points of ftadvise.

    Raises:
        UsageError: FT411, there is no plugin at the path.
        PluginError: FT901, it cannot be imported.
    """
    if path.is_dir():
        targets = _entry_points(path / "pyproject.toml")
        folders = [path / part for part in _SOURCES]
    elif path.suffix == ".py" and path.is_file():
        targets, folders = {path.stem: path.stem}, [path.parent]
    else:
        raise UsageError(
            f"no plugin at {clean(path, 300)}",
            hint="Give the name of an installed plugin, a module, or a folder with pyproject.toml.",
        )
    before = list(sys.path)
    sys.path[:0] = [str(folder.resolve()) for folder in folders]
    importlib.invalidate_caches()
    try:
        return {
            name: _imported(target, sys.path[: len(folders)]) for name, target in targets.items()
        }
    finally:
        sys.path[:] = before


def _entry_points(project: Path) -> dict[str, str]:
    try:
        read: Any = tomllib.loads(project.read_text(encoding="utf-8"))
        found = dict(read["project"]["entry-points"][GROUP])
    except OSError as error:
        raise UsageError(f"{clean(project, 300)}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{clean(project, 300)}: {clean(error, 200)}") from None
    except (KeyError, TypeError):
        found = {}
    if not found:
        raise UsageError(
            f"{clean(project, 300)} names no plugin",
            hint=f"It needs [project.entry-points.{GROUP}] with a line NAME = MODULE.",
        )
    return found


def _imported(target: str, folders: Sequence[str]) -> object:
    name, _, attributes = target.partition(":")
    _make_way(name.strip().partition(".")[0], folders)
    try:
        found: Any = importlib.import_module(name.strip())
        for attribute in filter(None, attributes.strip().split(".")):
            found = getattr(found, attribute)
    except FAULTS as error:
        message = f"{target} cannot be imported: {type(error).__name__}: {error}"
        raise PluginError(clean(message, 500)) from error
    return found


def _make_way(name: str, folders: Sequence[str]) -> None:
    """Forget the installed release of a plugin, whose module would be found instead of this one.

    Raises:
        PluginError: FT901, the module is called like one that is no plugin's, and is in use.
    """
    there = PathFinder.find_spec(name, list(folders))
    loaded = sys.modules.get(name)
    if there is None or loaded is None or getattr(loaded, "__file__", None) == there.origin:
        return
    installed: set[Any] = registry().manager.get_plugins()
    if name not in {getattr(one, "__name__", "").partition(".")[0] for one in installed}:
        raise PluginError(f"another module called {clean(name, 80)} is in use: rename this one")
    for known in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        del sys.modules[known]
