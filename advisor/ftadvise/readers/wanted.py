"""Which series of a log the caller asked for by name, and which name means which series.

A name means the series that is called so. Where none is, upper and lower case are taken for the
same, and after that the end of a name: `loss` is `metrics.loss` when nothing else ends so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES_SHOWN = 20
NO_SERIES = "FT409"

_JOINTS = re.compile(r"[./:|]")


@dataclass(frozen=True)
class Wanted:
    """Names of series as they stand in the log; None leaves the choice to the names.

    Attributes:
        key: The train loss; empty for none at all.
        eval_key: The eval loss; empty for none at all.
    """

    key: str | None = None
    eval_key: str | None = None

    def of(self, role: str) -> str | None:
        """Return the name that was given for "train" or "eval"."""
        return self.key if role == "train" else self.eval_key

    def names(self, name: str) -> bool:
        """Return whether a series called `name`, or that ends so, may be one of these.

        A reader keeps such a column even where its name has no meaning.
        """
        asked = (self.key, self.eval_key)
        return any(one and (match(name, one) or match(one, name)) for one in asked)


ANY = Wanted()


class NoSuchSeries(LogError):
    """A log has no series of a name that was asked for, or several."""

    default_code = NO_SERIES

    def named(self, label: str) -> NoSuchSeries:
        """Return the same error with the log's name before it."""
        return NoSuchSeries(f"{label}: {self.message}", hint=self.hint, code=self.code)


def match(name: str, wanted: str) -> int:
    """Return how well `name` is what was `wanted`: 3 the same, 2 but for case, 1 its end, 0 not."""
    if name == wanted:
        return 3
    name, wanted = name.casefold().strip(), wanted.casefold().strip()
    if name == wanted:
        return 2
    end = len(name) - len(wanted)
    return int(bool(wanted) and end > 0 and name.endswith(wanted) and _joint(name[end - 1]))


def _joint(letter: str) -> bool:
    return _JOINTS.match(letter) is not None


def none_of(name: str, known: Iterable[str]) -> NoSuchSeries:
    """Return the error for a name that no series has."""
    shown = listed(known)
    hint = f"The log has {shown}." if shown else "The log has no named series of numbers."
    return NoSuchSeries(f"no series is called {clean(name, 80)!r}", hint=hint)


def several_of(name: str, matching: Iterable[str]) -> NoSuchSeries:
    """Return the error for a name that several series end in."""
    return NoSuchSeries(
        f"several series are called {clean(name, 80)!r}",
        hint=f"Give the whole name of one of {listed(matching)}.",
    )


def none_left() -> NoSuchSeries:
    """Return the error for a log of which no loss was to be taken."""
    return NoSuchSeries(
        "no loss is left: the only ones in it are not to be taken",
        hint="Name a series with --key or --eval-key, or leave one of them out.",
        code="FT405",
    )


def listed(names: Iterable[str]) -> str:
    """Return names as they are shown in a message, as many as people like to read."""
    found = list(dict.fromkeys(clean(name, 80) for name in names))
    found = [name for name in found if name]
    return ", ".join(found[:NAMES_SHOWN]) + (", ..." if len(found) > NAMES_SHOWN else "")
