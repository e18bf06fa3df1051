"""Colours of the terminal, as functions from text to text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """How words are marked; without colour every word stays as it is.

    Attributes:
        colour: Whether colours may be used.
    """

    colour: bool = False

    def bold(self, text: str) -> str:
        """Mark what matters most."""
        return self._wrapped("1", text)

    def dim(self, text: str) -> str:
        """Mark what matters least."""
        return self._wrapped("2", text)

    def red(self, text: str) -> str:
        """Mark an error."""
        return self._wrapped("31", text)

    def green(self, text: str) -> str:
        """Mark what is well."""
        return self._wrapped("32", text)

    def yellow(self, text: str) -> str:
        """Mark a warning."""
        return self._wrapped("33", text)

    def cyan(self, text: str) -> str:
        """Mark the curve that is judged."""
        return self._wrapped("36", text)

    def _wrapped(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text


PLAIN = Style()
