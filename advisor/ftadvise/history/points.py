"""Series as JSON text and back, to the last bit: `[[step, epoch, loss], ...]`.

NaN becomes null, and an infinity 9e999, which every reader of JSON (SQLite's among them) takes for
one. What comes back was perhaps written by somebody else: it is bounded before it is parsed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ftadvise.run import FloatArray, Run, as_floats

MAX_POINTS = 1_000_000

Columns = tuple[FloatArray, FloatArray, FloatArray]

# Numbers, null and brackets two deep: with anything else in it, it is not ours.
_STRANGE = re.compile(r"[^0-9eEnul\[\], .+-]")


def to_text(columns: Columns) -> str:
    """Return three columns of one length as JSON.

    Raises:
        ValueError: If there are more than `MAX_POINTS`.
    """
    if columns[0].size > MAX_POINTS:
        raise ValueError(f"{columns[0].size:,} points, over the limit of {MAX_POINTS:,}")
    rows = np.column_stack(columns).tolist()
    text = json.dumps(rows, separators=(",", ":"))
    return text.replace("NaN", "null").replace("Infinity", "9e999")


def from_text(text: object) -> Columns:
    """Return the three columns in `text`.

    Raises:
        ValueError: If it is not what `to_text` writes.
    """
    if not isinstance(text, str) or _STRANGE.search(text):
        raise ValueError("points that are no rows of numbers")
    if text.count("[") > MAX_POINTS + 1 or text.count(",") > 3 * MAX_POINTS:
        raise ValueError("too many points")
    try:
        rows: Any = json.loads(text)
    except RecursionError:
        raise ValueError("points nested too deep") from None
    points = cast("list[Any]", rows)
    if not (isinstance(rows, list) and all(_is_row(row) for row in points)):
        raise ValueError("points that are not three numbers each")
    try:
        # Through Python's own floats, so that an integer of any size is one or an error.
        flat = [np.nan if x is None else float(x) for row in points for x in row]
    except (TypeError, OverflowError):
        raise ValueError("points that are not numbers") from None
    table = np.array(flat, dtype=np.float64).reshape(-1, 3)
    return as_floats(table[:, 0]), as_floats(table[:, 1]), as_floats(table[:, 2])


def _is_row(value: Any) -> bool:
    return isinstance(value, list) and len(cast("Sequence[object]", value)) == 3


def columns_of(run: Run) -> dict[str, Columns]:
    """Return the points of a run by the name of their column in the history."""
    return {
        "train": (run.train.step, run.train.epoch, run.train.loss),
        "eval": (run.eval.step, run.eval.epoch, run.eval.loss),
        "rates": (run.lr.step, run.lr.epoch, run.lr.rate),
    }


def content_of(run: Run) -> str:
    """Return the SHA-256 of the points alone: the same run read from two formats is one run."""
    digest = hashlib.sha256()
    for name, columns in columns_of(run).items():
        digest.update(f"{name} {columns[0].size}\n".encode())
        for values in columns:
            digest.update(_canonical(values))
    return digest.hexdigest()


def start_of(run: Run) -> str:
    """Return the hash of the first point, which a run keeps while it grows."""
    series = run.train if len(run.train) else run.eval
    first = np.concatenate([series.step[:1], series.epoch[:1], series.loss[:1]])
    return hashlib.sha256(_canonical(first)).hexdigest()[:16]


def begins_with(longer: Run, shorter: Run) -> bool:
    """Say whether `shorter` is an earlier state of the run that `longer` is.

    Its points stand at the beginning of those of `longer`, bit by bit, and both were planned alike
    where both say: at a constant rate a run of 3 epochs begins like one of 7.
    """
    plans = longer.planned_epochs, shorter.planned_epochs
    if None not in plans and plans[0] != plans[1]:
        return False
    there, wanted = columns_of(longer), columns_of(shorter)
    return all(
        np.array_equal(all_of[: few.size], few, equal_nan=True)
        for name in there
        for all_of, few in zip(there[name], wanted[name], strict=True)
    )


def _canonical(values: FloatArray) -> bytes:
    # One bit pattern for every NaN and for both zeros, in one byte order.
    plain = np.where(np.isnan(values), np.nan, values) + 0.0
    return plain.astype("<f8").tobytes()
