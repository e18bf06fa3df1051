"""Which series of a log the caller asked for by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """Names of series as they stand in the log; None leaves the choice to the names.

    Attributes:
        key: The train loss.
        eval_key: The eval loss.
    """

    key: str | None = None
    eval_key: str | None = None


ANY = Wanted()
