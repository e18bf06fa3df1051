"""Makes text from logs safe to show, and finds the name that was meant.

Names and values in a log were written by somebody else. Before they go into a message or a report
they lose everything that could move the cursor, hide text or reorder it on a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_ANSI = re.compile(
    r"\x1b\][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # operating system commands, titles and links
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|\x1b[ -/]*[0-~]"  # two-character escapes
)
_SPACE = re.compile(r"[\s\x85\u2028\u2029]+")
# C0 and C1 controls that are no white space, bidirectional controls, zero-width marks, surrogates,
# tag characters, and two that are no characters, which no YAML may hold. They go first, so that no
# two spaces meet where one of them was.
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(value: object, limit: int = 200) -> str:
    """Return `value` as one line of harmless text of at most `limit` characters."""
    # A bounded look first: a name of 500 MB costs no more than one of 500 characters.
    text = str(value)[: 8 * limit + 256]
    text = _SPACE.sub(" ", _HIDDEN.sub("", _ANSI.sub("", text))).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of the known names that a misspelt name is nearest to; None if none is near."""
    import difflib  # here, since only mistakes take it

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
