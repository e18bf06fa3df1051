"""A row of the history as people and programs look at it, and rows turned into it.

Whatever stands in a row was perhaps written by somebody else: a value of the wrong type is
nothing known, never an error.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast

from ftadvise.history.facts import Facts
from ftadvise.run import Source

if TYPE_CHECKING:
    from ftadvise.advice import Advice

_LONGEST = 1000  # characters of a text column that are looked at


@dataclass(frozen=True)
class Prediction:
    """What was foretold of a run before it was trained.

    Attributes:
        epochs: Epochs that were advised.
        eval_loss: Expected eval loss of its best checkpoint.
        low: Lower end of the 90 % interval of that; None where there was none.
        high: Upper end.
    """

    epochs: float
    eval_loss: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Entry:
    """One run of the history, without its curves; `load` has those.

    Attributes:
        id: Number of the row, never used again.
        content: SHA-256 of its points.
        added: When it was first remembered, UTC.
        updated: When it was last written, UTC.
        source: Where it was read from.
        facts: Model, data and how it was trained.
        steps_per_epoch: Optimizer steps in an epoch.
        planned_epochs: Epochs that its schedule was made for.
        epochs: Epochs done.
        best_eval_loss: Lowest eval loss.
        best_epoch: Where that was.
        last_eval_loss: Last eval loss.
        prediction: What was foretold of it, for a run that was trained on advice.
    """

    id: int
    content: str = ""
    added: str = ""
    updated: str = ""
    source: Source = field(default_factory=Source)
    facts: Facts = field(default_factory=Facts)
    steps_per_epoch: float | None = None
    planned_epochs: float | None = None
    epochs: float | None = None
    best_eval_loss: float | None = None
    best_epoch: float | None = None
    last_eval_loss: float | None = None
    prediction: Prediction | None = None


def prediction_of(advice: Advice) -> Prediction | None:
    """Return what an advice foretells of the next run; None when it knows the train loss alone."""
    return prediction_in(advice.to_dict()) if advice.fit.target == "eval" else None


def prediction_in(document: object) -> Prediction | None:
    """Return what an advice in the schema `ftadvise.advice/1` foretells; None where nothing."""
    top = _dict(document)
    if _whole(_dict(top.get("observed")).get("eval_points")) in (None, 0, 1):
        return None
    recommended = _dict(top.get("recommendation"))
    epochs = _number(recommended.get("num_train_epochs"))
    expected = _number(recommended.get("expected_eval_loss"))
    if epochs is None or expected is None:
        return None
    forecasts: Any = top.get("forecast")
    rows = cast("list[object]", forecasts) if isinstance(forecasts, list) else []
    for row in map(_dict, rows):
        if _number(row.get("epochs")) == epochs:
            return Prediction(epochs, expected, _number(row.get("low")), _number(row.get("high")))
    return Prediction(epochs, expected)


FACTS = tuple(f.name for f in fields(Facts))
NUMBERS = (
    "steps_per_epoch", "planned_epochs", "epochs", "best_eval_loss", "best_epoch",
    "last_eval_loss",
)  # fmt: skip
PREDICTED = ("advised_epochs", "predicted_loss", "predicted_low", "predicted_high")
_TEXTS = ("content", "added", "updated", "path", "format", "name")
_WHOLE = ("parameters", "examples", "tokens_per_epoch", "batch_size", "lora_rank")


def selected(there: Iterable[str]) -> str:
    """Return the columns of an `Entry` for a SELECT, null where an older file lacks them."""
    known = frozenset(there)
    wanted = ("id", *_TEXTS, *FACTS, *NUMBERS, *PREDICTED)
    # A text of 50 MB costs no more than one of a thousand characters.
    return ", ".join(
        f"{f'substr({name}, 1, {_LONGEST})' if _is_text(name) else name} AS {name}"
        if name in known
        else f"NULL AS {name}"
        for name in wanted
    )


def entry_of(names: Iterable[str], row: tuple[Any, ...]) -> Entry | None:
    """Turn a row into an entry; None when it has no id."""
    values = dict(zip(names, row, strict=True))
    own = _whole(values["id"])
    if own is None:
        return None
    told: dict[str, Any] = {key: _text(values[key]) or "" for key in _TEXTS}
    told["source"] = Source(*(told.pop(key) for key in ("path", "format", "name")))
    told["facts"] = Facts(**{key: _fact(key, values[key]) for key in FACTS})
    told |= {key: _number(values[key]) for key in NUMBERS}
    return Entry(own, **told, prediction=_prediction(*(_number(values[k]) for k in PREDICTED)))


def entries_in(cursor: sqlite3.Cursor) -> list[Entry]:
    """Return the entries that a SELECT of `selected` gives."""
    names = [column[0] for column in cursor.description]
    found = (entry_of(names, row) for row in cursor)
    return [entry for entry in found if entry is not None]


def _prediction(
    epochs: float | None, loss: float | None, low: float | None, high: float | None
) -> Prediction | None:
    return None if epochs is None or loss is None else Prediction(epochs, loss, low, high)


def _is_text(name: str) -> bool:
    return name in _TEXTS or (name in FACTS and name not in (*_WHOLE, "learning_rate"))


def _fact(name: str, value: Any) -> Any:
    if name in _WHOLE:
        return _whole(value)
    return _number(value) if name == "learning_rate" else _text(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 2**1000 and math.isfinite(value) else None


def _dict(value: object) -> dict[str, Any]:
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else {}
