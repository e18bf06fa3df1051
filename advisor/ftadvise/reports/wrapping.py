"""Wraps text to a width, and keeps together what belongs together."""

from __future__ import annotations

import textwrap

GLUE = "\u00a0"  # a space at which no line ends; becomes a plain space


def wrap(text: str, width: int, first: str = "", later: str | None = None) -> list[str]:
    """Return `text` in lines of at most `width` columns; a number stays with its per cent sign.

    Args:
        text: One paragraph.
        width: Columns of a line, indent included.
        first: Indent of the first line.
        later: Indent of the others; that of the first when None.
    """
    lines = textwrap.wrap(
        text.replace(" %", GLUE + "%"),
        width,
        initial_indent=first,
        subsequent_indent=first if later is None else later,
        break_on_hyphens=False,
    )
    return [line.replace(GLUE, " ") for line in lines]
