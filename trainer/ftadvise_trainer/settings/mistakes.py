"""Mistakes in a training YAML: collected while it is read, reported all at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftadvise.numbers import count
from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_SHOWN = 50


class ConfigError(TrainError):
    """A training YAML that cannot be used.

    Attributes:
        name: The file.
        mistakes: Every mistake that was found, one line each.
    """

    def __init__(self, name: str, mistakes: Sequence[str]) -> None:
        """Word all mistakes in one message, which is one line."""
        self.name = name
        self.mistakes = tuple(mistakes)
        shown = clean(name, 100)
        if len(self.mistakes) == 1:
            message = f"{shown}: {self.mistakes[0]}"
        else:
            listed = " ".join(f"({i}) {text}" for i, text in enumerate(self.mistakes, 1))
            message = f"{shown} has {len(self.mistakes)} mistakes: {listed}"
        super().__init__(message, code="FT501")

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, tuple[str, ...]]]:
        """Let it come back from another process."""
        return type(self), (self.name, self.mistakes)


@dataclass
class Mistakes:
    """What has been found so far in the file called `name`."""

    name: str
    found: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def add(self, message: str, line: int | None = None) -> None:
        """Note a mistake; `line` is None where it stands nowhere, and 0 for `--set`."""
        where = f"line {line}: " if line else "--set " if line == 0 else ""
        # In the order of the file; what stands in no line of it comes last.
        self.found.append((line or 1 << 30, where + message))

    def raise_if_any(self) -> None:
        """Raise `ConfigError` with all mistakes, unless there are none."""
        if not self.found:
            return
        lines = [text for _, text in sorted(self.found, key=lambda f: f[0])]
        if len(lines) > _MOST_SHOWN:
            rest = count(len(lines) - _MOST_SHOWN, "mistake")
            lines = [*lines[:_MOST_SHOWN], f"and {rest} more"]
        raise ConfigError(self.name, lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` for the known word that is closest, or nothing."""
    close = difflib.get_close_matches(word.lower()[:100], sorted(set(known)), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""
