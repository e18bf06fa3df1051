"""What the conformance checks say when a promise is broken."""

from __future__ import annotations


def require(holds: bool, message: str) -> None:
    """Raise `AssertionError` with the message unless the promise holds, also under `python -O`."""
    if not holds:
        raise AssertionError(message)
