"""Advice and errors as strict JSON: no NaN, and nothing in it that a terminal would obey."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftadvise.errors import FtadviseError

ERROR_SCHEMA = "ftadvise.error/1"


def dumps(value: Any, *, one_line: bool = False) -> str:
    """Return `value` as ASCII JSON, indented unless it has to be one line.

    Raises:
        ValueError: If there is a NaN or an infinity in it.
    """
    return json.dumps(value, allow_nan=False, indent=None if one_line else 2)


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
