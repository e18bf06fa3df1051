"""The scalars of one folder of event files, in the order in which they were written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ftadvise.text import clean
from ftadvise_plugins.tensorboard.layouts import Asides, Batch, scalars
from ftadvise_plugins.tensorboard.records import Damage, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ftadvise_plugins.tensorboard.numbers import IntArray

MOST_POINTS = 2_000_000
_MOST_NAMES = 2000
_MOST_REMEMBERED = 100_000
_MOST_OTHERS = 100


class Points:
    """Collects the scalars that are wanted, and thins them where they are too many.

    Attributes:
        names: The names of those that are kept, by their numbers.
        others: Names of some that are not.
        asides: Texts and starts of sessions.
        damage: What could not be read.
        thinned: Of how many points one was taken, for each name with more than one.
    """

    def __init__(self, keep: Callable[[str], bool], keep_text: Callable[[bytes], bool]) -> None:
        """Read nothing yet.

        Args:
            keep: Whether a scalar of this name is wanted.
            keep_text: Whether a text of this name is.
        """
        self.names: list[str] = []
        self.others: list[str] = []
        self.asides = Asides([], [], keep_text)
        self.damage = Damage()
        self.thinned: dict[int, int] = {}
        self._keep = keep
        self._numbers: dict[bytes, int] = {}
        self._seen: dict[int, int] = {}
        self._batches: list[Batch] = []
        self._size = 0

    def read(self, files: Iterable[Path]) -> Batch:
        """Return the scalars of files that continue each other.

        Raises:
            OSError: A file cannot be read.
        """
        for path in files:
            with path.open("rb") as file:
                for piece in pieces(file, self.damage):
                    self._add(scalars(piece, self._number, self.asides, self._size, self.damage))
        return _without_void(_joined(self._batches), self.asides.starts)

    def _number(self, tag: bytes) -> int:
        number = self._numbers.get(tag)
        if number is not None:
            return number
        name = clean(tag.decode("utf-8", errors="replace"), 1000)
        number = -1
        if len(self.names) < _MOST_NAMES and self._keep(name):
            number = len(self.names)
            self.names.append(name)
        elif len(self.others) < _MOST_OTHERS:
            self.others.append(name)
        if len(self._numbers) < _MOST_REMEMBERED:
            self._numbers[tag] = number
        return number

    def _add(self, batch: Batch) -> None:
        if not batch.tag.size:
            return
        keep = np.ones(batch.tag.size, dtype=np.bool_)
        for tag, every in self.thinned.items():
            mine = np.flatnonzero(batch.tag == tag)
            seen = self._seen[tag]
            keep[mine] = (np.arange(seen, seen + mine.size) % every) == 0
            self._seen[tag] += mine.size
        self._batches.append(_taken(batch, keep) if self.thinned else batch)
        self._size += int(np.count_nonzero(keep))
        while self._size > MOST_POINTS:
            self._thin()

    def _thin(self) -> None:
        """Keep every second point of the longest series."""
        whole = _joined(self._batches)
        counts = np.bincount(whole.tag)
        keep = np.ones(whole.tag.size, dtype=np.bool_)
        for tag in np.flatnonzero(2 * counts >= counts.max()).tolist():
            every = self.thinned.get(tag, 1)
            self._seen.setdefault(tag, int(counts[tag]))
            self.thinned[tag] = 2 * every
            keep[np.flatnonzero(whole.tag == tag)[1::2]] = False
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        self.asides.starts[:] = [(int(kept_before[at]), s) for at, s in self.asides.starts]
        self._batches = [_taken(whole, keep)]
        self._size = self._batches[0].tag.size


def _joined(batches: list[Batch]) -> Batch:
    if not batches:
        none = np.empty(0)
        return Batch(none.astype(np.int64), none.astype(np.int64), none, none)
    if len(batches) == 1:
        return batches[0]
    return Batch(
        np.concatenate([batch.tag for batch in batches]),
        np.concatenate([batch.step for batch in batches]),
        np.concatenate([batch.wall for batch in batches]),
        np.concatenate([batch.value for batch in batches]),
    )


def _taken(batch: Batch, keep: IntArray | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Batch:
    return Batch(batch.tag[keep], batch.step[keep], batch.wall[keep], batch.value[keep])


def _without_void(batch: Batch, starts: list[tuple[int, int]]) -> Batch:
    """Leave out what was written before a session started at an earlier or equal step.

    TensorBoard does the same: https://www.tensorflow.org/api_docs/python/tf/compat/v1/SessionLog.
    """
    if not any(step > 0 for _, step in starts):
        return batch
    void = np.zeros(batch.tag.size, dtype=np.bool_)
    for at, step in starts:
        if step > 0:
            void[:at] |= batch.step[:at] >= step
    return _taken(batch, ~void)
