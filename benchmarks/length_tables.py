"""Tables of how good forecasts of runs of another length are.

For `learn_lengths.py` and `length_ends.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from families import Family
from horizon_model import Row
from length_cases import Cases, cases

from ftadvise import lengths as lengths_room
from ftadvise.run import FloatArray

BUCKETS = {
    "< 1/3": (0.0, 1 / 3),
    "1/3 to 0.6": (1 / 3, 0.6),
    "0.6 to 0.9": (0.6, 0.9),
    "1": (0.9, 1.1),
    "1.1 to 1.6": (1.1, 1.6),
    "1.6 to 3": (1.6, 3.0),
    "> 3": (3.0, np.inf),
    "all": (0.0, np.inf),
}
PAST = {3: 5, 5: 3, 7: 3, 10: 5}  # which log is given as well
FADINGS = (np.inf, 4.0, 3.0, 2.0)
PEER_ERRORS = (0.003, 0.01, 0.03)
BAGS = 300  # of the bootstrap
Model = dict[str, float]
Column = tuple[Any, Callable[..., Any]]
BoolArray = np.ndarray[tuple[int], np.dtype[np.bool_]]


def doubts(model: Model, found: Cases) -> FloatArray:
    """Return the doubt of every case, as `ftadvise.lengths.doubt` computes it."""
    growth = np.where(found.nearest > 0, model["longer"], model["shorter"])
    doubt: FloatArray = model["near"] + growth * np.abs(found.nearest)
    return doubt


def inside(found: Cases, doubt: FloatArray, share: float) -> BoolArray:
    """Say for every case whether the central interval with this share of the draws holds it."""
    ends = [0.5 - share / 2, 0.5 + share / 2]
    low, high = np.quantile(found.doubted(doubt), ends, axis=1)
    held: BoolArray = (low <= found.reached) & (found.reached <= high)
    return held


def report(title: str, found: Cases, doubt: FloatArray) -> None:
    """Print coverage before and after the doubt, and errors, by ratio of the lengths."""
    nothing = np.zeros_like(doubt)
    ends = np.quantile(found.doubted(doubt), [0.05, 0.5, 0.95], axis=1)
    columns: dict[str, Column] = {
        "90 % before": (inside(found, nothing, 0.9), np.mean),
        "90 % after": (inside(found, doubt, 0.9), np.mean),
        "50 % before": (inside(found, nothing, 0.5), np.mean),
        "50 % after": (inside(found, doubt, 0.5), np.mean),
        "width": (ends[2] - ends[0], np.median),
        "error": (np.abs(ends[1] - found.reached), np.median),
        "as this run": (np.abs(found.carried - found.reached), np.median),
    }
    table(title, found, columns)


def table(title: str, found: Cases, columns: dict[str, Column]) -> None:
    """Print every column by ratio of the lengths, with bootstrap intervals over families."""
    count = np.unique(found.family).size
    print(f"\n{title}: {found.ratio.size} forecasts of {count} families")
    print(f"{'length over this':>17} {'n':>5} " + " ".join(f"{name:>20}" for name in columns))
    for bucket, (low, high) in BUCKETS.items():
        here = (low <= found.ratio) & (found.ratio < high)
        if not here.any():
            continue
        cells = [_cell(v[here], found.family[here], middle) for v, middle in columns.values()]
        print(f"{bucket:>17} {here.sum():5d} " + " ".join(f"{cell:>20}" for cell in cells))


def _cell(values: FloatArray, family: Any, middle: Callable[..., Any]) -> str:
    """Return mean or median with its bootstrap interval over families."""
    place = np.unique(family, return_inverse=True)[1]
    size = int(place.max()) + 1
    rng = np.random.default_rng(0)
    drawn: list[float] = []
    for _ in range(BAGS):
        count = np.bincount(rng.integers(size, size=size), minlength=size)
        drawn.append(float(middle(np.repeat(values, count[place]))))
    low, high = np.quantile(drawn, [0.05, 0.95])
    digits = 3 if middle is np.mean else 4
    return f"{middle(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def with_past(title: str, families: list[Family], known: list[Row] | None, model: Model) -> None:
    """Print what the log of one more length is worth."""
    told, alone = cases(families, known, PAST), cases(families, known)
    others = told.nearest != 0.0  # the length that was told needs no forecast
    told, alone = told.take(others), alone.take(others)
    columns: dict[str, Column] = {}
    for name, one in (("alone", alone), ("told", told)):
        doubt = doubts(model, one)
        low, median, high = np.quantile(one.doubted(doubt), [0.05, 0.5, 0.95], axis=1)
        columns[f"error {name}"] = np.abs(median - one.reached), np.median
        columns[f"width {name}"] = high - low, np.median
        columns[f"90 % {name}"] = inside(one, doubt, 0.9), np.mean
    table(f"one more log given, {title}", told, columns)


def choices(families: list[Family], known: list[Row]) -> None:
    """Print what the constants of `ftadvise.lengths` were chosen by, data set left out."""
    for name, values, past in (("FADING", FADINGS, None), ("PEER_ERROR", PEER_ERRORS, PAST)):
        for value in values:
            with mock.patch.object(lengths_room, name, value):
                found = cases(families, known, past)
            found = found.take(found.nearest != 0.0)
            off = np.abs(np.median(found.draws, axis=1) - found.reached)
            held = inside(found, np.zeros_like(off), 0.9).mean()
            print(
                f"{name} {value:6.4g}: median error {np.median(off):.4f}, mean {off.mean():.4f}, "
                f"CRPS {_crps(found).mean():.4f}, 90 % interval without doubt holds {held:.3f}"
            )


def _crps(found: Cases) -> FloatArray:
    """Return the continuous ranked probability score of every case, in log loss."""
    off = np.abs(found.draws - found.reached[:, None]).mean(axis=1)
    rising = np.sort(found.draws, axis=1)
    size = rising.shape[1]
    weight = (2.0 * np.arange(1, size + 1) - size - 1.0) / size**2
    score: FloatArray = off - rising @ weight
    return score
