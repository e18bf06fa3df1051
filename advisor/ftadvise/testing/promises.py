"""What the conformance checks say when a promise is broken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ftadvise.plugin_faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def require(holds: bool, message: str) -> None:
    """Raise `AssertionError` with the message unless the promise holds, also under `python -O`."""
    if not holds:
        raise AssertionError(message)


def require_type(thing: object, kind: type, hook: str) -> None:
    """Raise `AssertionError` unless what a hook gave is of its kind."""
    require(isinstance(thing, kind), f"{hook} returned {thing!r}, not a {kind.__name__}")


def require_name(name: object, kind: str) -> str:
    """Return the name of a thing to speak of it; it has to be short, lower case and one word."""
    fits = isinstance(name, str) and _NAME.fullmatch(name) is not None and len(name) <= 60
    require(fits, f"a {kind} is called {name!r}: a name is lower case, of letters, digits and -._")
    return f"{kind} {name}"


def answer(what: str, function: Callable[..., Any], *args: object) -> Any:
    """Return what a function of the plugin answers; an exception of it breaks a promise.

    What is given to it can be read only, so that a function which writes into it raises.
    """
    try:
        return function(*args)
    except FAULTS as error:
        if "read-only" in str(error):
            raise AssertionError(f"{what} writes into its arguments: {error}") from error
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}") from error
