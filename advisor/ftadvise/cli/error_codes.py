"""What the codes of errors mean, read off the documentation of the errors themselves."""

from __future__ import annotations

import contextlib
import importlib
import re

from ftadvise import plugins
from ftadvise.errors import FtadviseError

_OURS = ("ftadvise.config.errors", "ftadvise.history.failures")

# These are not raised as errors of a kind of their own.
_OTHERS = {
    "FT902": "a rule failed on a log; the finding names the rule, and all others were asked",
    "FT999": "a bug in ftadvise: please report it with the output of the same command --debug",
}


def meanings(code: str) -> list[str]:
    """Return what an error code can mean, one line each; none for a code that is not known."""
    _load()
    found = [_OTHERS[code]] if code in _OTHERS else []
    for kind in _kinds(FtadviseError):
        doc = " ".join((kind.__doc__ or "").split())
        said = re.search(
            rf"{re.escape(code)} (.+?)(?=, FT\d{{3}} |\. |\.$|$)", doc.partition("Codes: ")[2]
        )
        if said:
            found.append(f"{said[1]} ({kind.__name__})")
        elif code == kind.__dict__.get("default_code"):
            found.append(f"{doc.partition('.')[0]} ({kind.__name__})")
    return found


def _load() -> None:
    """Import the errors of our own rooms, and of the packages of plugins that have a room `errors`."""
    packages = {
        str(getattr(module, "__package__", ""))
        for module in plugins.registry().manager.get_plugins()
    }
    theirs = (f"{package}.errors" for package in sorted(packages - {"", "ftadvise"}))
    for name in (*_OURS, *theirs):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _kinds(kind: type[FtadviseError]) -> list[type[FtadviseError]]:
    """Return an error class and all below it that are loaded."""
    return [kind, *(one for child in kind.__subclasses__() for one in _kinds(child))]
