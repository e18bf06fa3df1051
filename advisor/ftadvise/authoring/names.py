"""What a new plugin is called: its name, the names made of it, and whether they are free."""

from __future__ import annotations

import importlib.util
import itertools
import re
from dataclasses import dataclass

from ftadvise import plugins
from ftadvise.errors import UsageError
from ftadvise.text import clean

KINDS = {
    "reader": "register_readers",
    "family": "register_model_families",
    "law": "register_laws",
    "policy": "register_stop_policies",
    "rule": "register_rules",
}
"""The kinds of plugins, each with its hook."""

PREFIX = "ftadvise-"
LONGEST = 40

_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
_RESERVED = ("ftadvise", "plugin", "plugins", "test", "tests", "trainer")
_HINT = "A name is a letter and then letters, digits and single hyphens, such as `loss-book`."


@dataclass(frozen=True)
class Names:
    """The names of a new plugin.

    Attributes:
        name: Its entry point, and the name of the thing that it adds: `"loss-book"`.
        project: Name of the distribution, and of its folder: `"ftadvise-loss-book"`.
        module: `"ftadvise_loss_book"`.
        snake: The name as part of an identifier: `"loss_book"`.
        title: The name for people: `"Loss Book"`.
        code: Code of a rule of this plugin, which no other rule has: `"LOSS101"`.
    """

    name: str
    project: str
    module: str
    snake: str
    title: str
    code: str


def names_for(given: str, kind: str) -> Names:
    """Return the names of a new plugin.

    Args:
        given: What it is to be called, with or without `ftadvise-`; runs of hyphens, underscores
            and dots become one hyphen, and capitals small letters, as package indexes do.
        kind: One of `KINDS`.

    Raises:
        UsageError: FT411, the name does not work, or it is taken.
    """
    name = re.sub(r"[-_.]+", "-", given.strip()).lower().removeprefix(PREFIX)
    shown = repr(clean(given, 80))
    if not _NAME.fullmatch(name):
        raise UsageError(f"{shown} cannot be the name of a plugin", hint=_HINT)
    if len(name) > LONGEST:
        raise UsageError(f"{shown} is too long for a name: at most {LONGEST} characters")
    if name in _RESERVED:
        raise UsageError(f"the name {name!r} is reserved", hint="Name it after what it adds.")
    snake = name.replace("-", "_")
    made = Names(
        name=name,
        project=PREFIX + name,
        module=f"ftadvise_{snake}",
        snake=snake,
        title=name.replace("-", " ").title(),
        code=_free_code(name),
    )
    _refuse_taken(made, kind)
    return made


def _refuse_taken(names: Names, kind: str) -> None:
    if names.name in plugins.registry().plugins:
        _taken(f"a plugin called {names.name!r} is installed already")
    if any(getattr(thing, "name", None) == names.name for thing in plugins.collect(KINDS[kind])):
        _taken(f"there is a {kind} called {names.name!r} already")
    if importlib.util.find_spec(names.module) is not None:
        _taken(f"a module called {names.module} is installed already")


def _taken(message: str) -> None:
    raise UsageError(message, hint="Take another name; `ftadvise plugins` lists what there is.")


def _free_code(name: str) -> str:
    """Return a code of four letters of the name and a number, which no rule has."""
    letters = "".join(filter(str.isalpha, name)).upper()[:4]
    letters = letters if len(letters) > 1 else letters + "X"
    letters = "X" + letters if letters.startswith("FT") else letters
    known = {getattr(rule, "code", "") for rule in plugins.collect("register_rules")}
    return next(f"{letters}{n}" for n in itertools.count(101) if f"{letters}{n}" not in known)
