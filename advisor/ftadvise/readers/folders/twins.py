"""Finds logs of the same run: event files beside a state, what was printed beside a metrics file."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ftadvise.readers.folders.walk import Place
    from ftadvise.run import Run

SHARED = 0.6  # of the pairs of losses, where one log rounds more than the other
LEAST = 2  # pairs: two losses may agree by chance
MOST = 300  # pairs that are looked up
_MOST_ALIKE = 50  # runs in which a pair is looked up

_Pair = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Told:
    """A run, and how it is told.

    Attributes:
        run: The run.
        place: The folder that its log lies in.
        rank: What the name of the log promises; the lower, the more.
    """

    run: Run
    place: Place
    rank: int


def twins(runs: Sequence[Told]) -> list[bool]:
    """Return for each run whether it is told a second time, by a better or a longer log.

    Two logs are of one run when the losses of one follow each other in the other too. They are
    compared only where they are of different formats, or one lies below the other: two output
    folders with the same losses are two runs.
    """
    gone = [False] * len(runs)
    pairs = [list(dict.fromkeys(_pairs(one.run))) for one in runs]
    by_pair: dict[_Pair, list[int]] = {}
    for own, found in enumerate(pairs):
        for pair in found:
            by_pair.setdefault(pair, []).append(own)
    for own in sorted(range(len(runs)), key=lambda i: (-runs[i].rank, len(pairs[i]), -i)):
        mine = pairs[own][:MOST]
        if len(mine) < LEAST:
            continue
        shared = Counter(other for pair in mine for other in by_pair[pair][:_MOST_ALIKE])
        gone[own] = any(
            count >= SHARED * len(mine)
            and not gone[other]
            and other != own
            and _comparable(runs[own], runs[other])
            for other, count in shared.items()
        )
    return gone


def _pairs(run: Run) -> Iterator[_Pair]:
    """Yield which losses follow each other in a log."""
    for role, series in (("train", run.train), ("eval", run.eval)):
        losses = (f"{loss:.4g}" for loss in series.finite().loss.tolist())
        for one, other in itertools.pairwise(losses):
            yield role, one, other


def _comparable(one: Told, other: Told) -> bool:
    if one.run.source.path == other.run.source.path:
        return False
    if one.run.source.format != other.run.source.format:
        return True
    size = min(len(one.place), len(other.place))
    return one.place != other.place and one.place[:size] == other.place[:size]
