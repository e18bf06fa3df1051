"""What is right for a file of a corpus of training logs: its index, other counts, and rulings.

The index of a corpus names the keys of the train and eval loss and the number of points. Where it
is silent, the counts of the tools that wrote the files stand in (`corpus_counts.py` makes them).
Where it is wrong, a ruling says what is right, and why.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NO_HISTORY = frozenset({"no_history", "no_loss", "bad_input"})
EITHER = frozenset(
    {"odd"}
)  # broken or unusual on purpose: a run and an honest error are both fine
CSV_FORMATS = frozenset({"csv_other", "keras_csv", "lightning_csv", "openai", "ultralytics"})
# The index names no keys for these: rows of transformers have no others.
HF_ROWS = frozenset({"trainer_state", "noeval", "odd"})
_NO_CURVE = frozenset({"best", "min", "max", "grad", "scale", "weight", "function", "delta"})


@dataclass(frozen=True)
class Answer:
    """What a reader should find in a file.

    Attributes:
        train: Key of the train loss; "" for none, None where nobody knows.
        eval: Key of the eval loss; "" for none, None where nobody knows.
        points: Numbers of points that are right, in train, in eval or in both together; empty
            where nobody knows.
        exact: Numbers of points that are right in train, and those that are right in eval; empty
            for any.
        counts: Points of each series in the file by name, as another program counts them.
        error: Whether a `LogError` is right ("yes"), wrong ("no") or fine too ("either").
        code: The code that the error must have; "" for any.
    """

    train: str | None = None
    eval: str | None = None
    points: tuple[int, ...] = ()
    exact: tuple[frozenset[int], frozenset[int]] | None = None
    counts: dict[str, int] | None = None
    error: str = "no"
    code: str = ""


def index_of(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of `index.csv` by file."""
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def counts_of(file: Path | None) -> dict[str, dict[str, int]]:
    """Return what `corpus_counts.py` wrote: points by series, by file."""
    if file is None:
        return {}
    read: dict[str, dict[str, int]] = json.loads(file.read_text(encoding="utf-8"))
    return read


def answer(
    file: Path, name: str, row: dict[str, str], counts: dict[str, int] | None = None
) -> Answer:
    """Return what is right for `file` of the format `name`, whose row in the index is `row`."""
    if name in NO_HISTORY:
        return Answer(error="yes")
    if name in HF_ROWS and (found := _rows_of_transformers(file)) is not None:
        return found
    if name in EITHER:
        return Answer(error="either")
    points: tuple[int, ...] = (int(row["n_points"]),) if row.get("n_points") else ()
    if points == (0,):
        return Answer(error="yes")
    train, held_out = (_key(row.get(field, "")) for field in ("train_loss_key", "val_loss_key"))
    if name == "mlflow":
        return _metric_file(train, points)
    if name in CSV_FORMATS and (train or held_out):
        return _columns(file, train, held_out) or Answer(train, held_out, points)
    if train or held_out:
        return Answer(train, held_out, points)
    if counts is not None:
        return _counted(counts)
    if row.get("schema_family", "").startswith("json"):  # its keys were looked for
        return Answer(error="yes")
    # Neither keys nor counts: a run is not checked, or by its length alone.
    return Answer(None, None, points, error="no" if points else "either")


def _key(name: str) -> str:
    return name.strip().strip("'\"")


def _metric_file(key: str, points: tuple[int, ...]) -> Answer:
    """One file holds one metric, and most metrics are no loss."""
    if not is_loss(key):
        return Answer(error="yes")
    is_eval = _is_eval(key)
    return Answer("" if is_eval else key, key if is_eval else "", points)


def _counted(counts: dict[str, int]) -> Answer:
    if not any(is_loss(name) for name in counts):
        return Answer(counts=counts, error="yes")
    has_eval = any(is_loss(name) and _is_eval(name) for name in counts)
    return Answer(None, None if has_eval else "", counts=counts)


def is_loss(name: str) -> bool:
    """Return whether a series called `name` is a loss of train or eval data, by a plain rule."""
    if name.endswith("train/train_loss"):  # the mean over a run of transformers
        return False
    words = _words(name)
    return bool(words & {"loss", "losses"}) and not words & _NO_CURVE


def _is_eval(name: str) -> bool:
    return bool(_words(name) & {"val", "valid", "validation", "eval", "evaluation", "dev", "test"})


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))


def _columns(file: Path, train: str, held_out: str) -> Answer | None:
    """Return the answer by the cells of a table that hold a number; a column may have none."""
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as opened:
        rows = list(csv.reader(opened))
    header = [cell.strip() for cell in rows[0]] if rows else []
    sizes: list[int] = []
    for key in (train, held_out):
        place = header.index(key) if key in header else len(header)
        sizes.append(sum(_is_number(row[place]) for row in rows[1:] if place < len(row)))
    if not any(sizes):
        return None
    points = tuple(size for size in sizes if size)
    return Answer(train if sizes[0] else "", held_out if sizes[1] else "", points)


def _rows_of_transformers(file: Path) -> Answer | None:
    """Return the answer by the rows with a `loss` and an `eval_loss`; None for other JSON."""
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        value: Any = json.loads(text)
    except ValueError:
        try:
            value = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            return None
    rows: Any = value.get("log_history") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    steps: list[list[Any]] = [
        [row.get("step", row.get("current_steps")) for row in rows if row.get(key) is not None]
        for key in ("loss", "eval_loss")
    ]
    if not any(steps):
        return Answer(error="yes")
    # A step that was logged twice is one point.
    train, held_out = (frozenset({len(part), len(set(part))}) for part in steps)
    other = any("loss" in key and "eval" in key for row in rows for key in row)
    if other and not steps[1]:  # of several evaluation sets, each with a name
        return Answer("loss", None, points=tuple(train))
    return Answer("loss", "eval_loss" if steps[1] else "", exact=(train, held_out))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
