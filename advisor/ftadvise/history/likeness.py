"""How alike two runs are by what is known of them, with the reason as a phrase."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ftadvise.history.facts import Facts

BY_CURVES = 2
"""Rank of a run whose curves alone say that it is the same fine-tune."""


@dataclass(frozen=True)
class Likeness:
    """How alike two runs are.

    Attributes:
        rank: 0 for the most alike.
        same: Whether they are the same fine-tune, perhaps of another length or rate.
        why: What they share, as a phrase.
        open: Whether nothing known says that they are different fine-tunes.
        distance: How far apart rate and number of examples are, to order those of one rank.
    """

    rank: int
    same: bool
    why: str
    open: bool
    distance: float


def likeness(one: Facts, other: Facts) -> Likeness:
    """Compare what is known of two runs."""
    model, data, method = (
        _same_model(one, other),
        _equal(one.data, other.data),
        _method(one, other),
    )
    family = _equal(one.family, other.family)
    if model and data and method is not False:
        rank, why = 0, "same model and data"
    elif model and data:
        rank, why = 1, f"same model and data, trained with {other.method}"
    elif data:
        rank, why = (3 if family else 4), f"same data, {_other(family)}"
    elif model:
        rank, why = 5, "same model, other data" if data is False else "same model"
    elif family:
        rank, why = 6, "same model family"
    else:
        rank, why = 7, "another fine-tune"
    differing = False in (model, data, method)
    return Likeness(rank, rank == 0, why + _rate(one, other), not differing, _apart(one, other))


def by_curves(before: Likeness) -> Likeness:
    """Return the likeness of runs whose curves say that they are the same fine-tune."""
    why = "the same fine-tune by its curves"
    return Likeness(BY_CURVES, True, why, before.open, before.distance)


def _other(family: bool | None) -> str:
    if family is None:
        return "perhaps another model"
    return "another model of the family" if family else "another model family"


def _same_model(one: Facts, other: Facts) -> bool | None:
    sizes = _equal(one.parameters, other.parameters)
    names = _equal(_name(one.model), _name(other.model))
    return False if sizes is False or names is False else names


def _name(model: str | None) -> str | None:
    """Return the last part of a name, which a hub and a folder have in common."""
    return re.split(r"[/\\]", model.rstrip("/\\"))[-1].lower() if model else None


def _method(one: Facts, other: Facts) -> bool | None:
    return _equal(one.method, other.method)


def _equal(one: object, other: object) -> bool | None:
    return None if one is None or other is None else one == other


def _rate(one: Facts, other: Facts) -> str:
    apart = _ratio(one.learning_rate, other.learning_rate)
    # Half again as much is another setting; less may be where a log ends in its warm-up.
    return f", learning rate {other.learning_rate:.3g}" if apart and apart > math.log(1.5) else ""


def _apart(one: Facts, other: Facts) -> float:
    rate = _ratio(one.learning_rate, other.learning_rate)
    examples = _ratio(one.examples, other.examples)
    unknown = math.log(4.0)  # worse than twice the rate, better than ten times
    return sum(unknown if part is None else part for part in (rate, examples))


def _ratio(one: float | None, other: float | None) -> float | None:
    if one is None or other is None or one <= 0 or other <= 0:
        return None
    return abs(math.log(one / other))
