"""A long curve in few points, with every spike of it left."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ftadvise.run import FloatArray


def thinned(x: FloatArray, y: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """Return at most `most` points of a curve, the lowest and highest of every stretch among them.

    Args:
        x: Places in rising order, shape (n,).
        y: Values, finite, shape (n,).
        most: Points to keep, at least 4.

    Returns:
        The points that are kept, in their order: all of them where they are few enough.
    """
    if x.size <= most:
        return x, y
    kept: set[int] = {0, x.size - 1}
    for start, end in _stretches(x.size, most // 2 - 1):
        stretch = y[start:end]
        kept.update((start + int(stretch.argmin()), start + int(stretch.argmax())))
    index = np.array(sorted(kept), dtype=np.int64)
    return x[index], y[index]


def envelope(
    x: FloatArray, y: FloatArray, most: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the middle, lowest, highest and mean of `most` stretches of a curve, in their order.

    Args:
        x: Places in rising order, shape (n,) with n at least `most`.
        y: Values, finite, shape (n,).
        most: Stretches, each of about as many points.

    Returns:
        Four arrays of shape (most,).
    """
    starts = np.array([start for start, _ in _stretches(x.size, most)], dtype=np.int64)
    sizes = np.diff(np.append(starts, x.size))
    middle: FloatArray = np.add.reduceat(x, starts) / sizes
    low: FloatArray = np.minimum.reduceat(y, starts)
    high: FloatArray = np.maximum.reduceat(y, starts)
    mean: FloatArray = np.add.reduceat(y, starts) / sizes
    return middle, low, high, mean


def _stretches(size: int, count: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, size, count + 1).astype(np.int64).tolist()
    return list(itertools.pairwise(edges))
