"""Begins a plugin: writes a whole package, ready to be installed, from the template of its kind."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from string import Template

from ftadvise import __version__
from ftadvise.authoring.names import KINDS, Names, names_for
from ftadvise.errors import UsageError
from ftadvise.hookspecs import API
from ftadvise.text import clean

__all__ = ["KINDS", "NewPlugin", "contents", "new_plugin"]

_DESCRIPTIONS = {
    "reader": "Teaches ftadvise to read {} logs.",
    "family": "Teaches ftadvise the {} family of models.",
    "law": "Adds the {} law to those that ftadvise fits.",
    "policy": "Adds the stop policy {} to ftadvise.",
    "rule": "Adds the finding {} to ftadvise.",
}


@dataclass(frozen=True)
class NewPlugin:
    """A package that was written.

    Attributes:
        names: What it is called.
        folder: Where it lies.
        files: Its files, relative to the folder.
    """

    names: Names
    folder: Path
    files: tuple[str, ...]


def new_plugin(name: str, kind: str, into: Path) -> NewPlugin:
    """Write the package of a new plugin into a folder of its own; all of it, or nothing.

    Args:
        name: What it is to be called, with or without `ftadvise-`.
        kind: One of `KINDS`.
        into: The folder in which its folder is made.

    Raises:
        UsageError: FT411, the name does not work or is taken, something lies where the package
            would go, or nothing can be written there.
    """
    names = names_for(name, kind)
    target = into / names.project
    if os.path.lexists(target):
        raise UsageError(
            f"{clean(target, 300)} is there already, and nothing is written over it",
            hint="Take another name or another folder (--into DIR), or move it away.",
        )
    files = contents(names, kind)
    try:
        _write(files, target)
    except OSError as error:
        raise UsageError(
            f"cannot write {clean(target, 300)}: {error.strerror}",
            hint="--into DIR names a folder that is there and can be written.",
        ) from None
    return NewPlugin(names, target, tuple(files))


def contents(names: Names, kind: str) -> dict[str, str]:
    """Return the files of a new plugin by their paths."""
    filled = {
        **asdict(names),
        "description": _DESCRIPTIONS[kind].format(names.name),
        "version": __version__,
        "api": str(API),
    }
    places = {
        "pyproject.toml": "pyproject.toml",
        f"{names.module}.py": f"{kind}.py",
        f"tests/test_{names.snake}.py": f"test_{kind}.py",
    }
    return {place: _template(source).substitute(filled) for place, source in places.items()}


def _template(name: str) -> Template:
    folder = resources.files("ftadvise.authoring") / "templates"
    return Template((folder / f"{name}.template").read_text(encoding="utf-8"))


def _write(files: dict[str, str], target: Path) -> None:
    """Write the files beside the target first, so that it is whole as soon as it is there."""
    with tempfile.TemporaryDirectory(prefix=".ftadvise-", dir=target.parent) as scratch:
        made = Path(scratch) / target.name
        for place, text in files.items():
            (made / place).parent.mkdir(parents=True, exist_ok=True)
            (made / place).write_text(text, encoding="utf-8")
        if os.path.lexists(target):  # made by somebody else meanwhile
            raise FileExistsError(0, "it is there already")
        made.rename(target)
