"""Advice and errors as strict JSON: no NaN, no half of a character, nothing that a terminal obeys."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftadvise.errors import FtadviseError

ERROR_SCHEMA = "ftadvise.error/1"

# In ASCII JSON: an escaped backslash, the two halves of a character, or one half alone, as in a path
# that is no UTF-8. RFC 8259, section 8.2, leaves open what a half means, and strict parsers refuse it.
_HALVES = re.compile(
    r"\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(?P<lone>\\ud[89a-f][0-9a-f]{2})"
)


def dumps(value: Any, *, one_line: bool = False) -> str:
    """Return `value` as ASCII JSON, indented unless it has to be one line.

    Raises:
        ValueError: If there is a NaN or an infinity in it.
    """
    text = json.dumps(value, allow_nan=False, indent=None if one_line else 2)
    return _HALVES.sub(lambda found: "\\ufffd" if found["lone"] else found[0], text)


def error_to_dict(path: str, error: FtadviseError) -> dict[str, Any]:
    """Return what went wrong with one log, in the schema `ftadvise.error/1`."""
    return {
        "schema": ERROR_SCHEMA,
        "source": {"path": path},
        "error": {"code": error.code, "message": error.message, "hint": error.hint},
    }


def finite(value: Any) -> Any:
    """Return `value`, or None for a NaN or an infinity, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
