"""The change of a file as a unified diff that `patch` and `git apply` take."""

from __future__ import annotations

import difflib
import re

from ftadvise.text import clean

# Lines end at \n alone, as for `patch`: a carriage return before it is part of the line.
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def unified(path: str, old: str, new: str) -> str:
    """Return the diff from `old` to `new`, without the last line's end; empty if they agree."""
    name = clean(path, 1000)
    before, after = (name, name) if name.startswith("/") else (f"a/{name}", f"b/{name}")
    rows = difflib.unified_diff(_LINE.findall(old), _LINE.findall(new), before, after)
    return "".join(map(_whole, rows)).removesuffix("\n")


def _whole(row: str) -> str:
    return row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n"
