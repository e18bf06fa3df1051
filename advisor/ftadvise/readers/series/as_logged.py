"""Gives series that were read under a fuller name the name they have in the log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftadvise.run import Run, Series


def as_logged(runs: Iterable[Run], names: Mapping[str, str]) -> list[Run]:
    """Return the runs with the keys of their series as they stand in the log.

    Args:
        runs: What was read.
        names: The name in the log by the one that a series was read under.
    """

    def called(series: Series) -> Series:
        return replace(series, key=names.get(series.key or "", series.key))

    return [
        replace(
            run,
            train=called(run.train),
            eval=called(run.eval),
            nonfinite={names.get(key, key): count for key, count in run.nonfinite.items()},
        )
        for run in runs
    ]
