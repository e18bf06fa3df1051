"""The loss turns up after its best: the model overfits.

What it means
-------------
The curve behind the points has a lowest place before its end and rises after it. "Detected" means
a probability of at least 90 % from four or more evaluations, "may begin" at least 50 %.

Why it matters
--------------
Every step past the turning point costs compute and makes the model worse on text it has not seen.
The last checkpoint is then not the one to keep. For chat models a slightly higher eval loss does
not always mean worse answers: where answers count, compare checkpoints around the turning point.

Example
-------
    FT201 warning: Overfitting begins at epoch 4: the eval loss rose from 1.12 at epoch 3.5 to 1.31
    at epoch 6, 17 % up, while the train loss fell. The turning point lies between epochs 3 and 4
    (90 % interval; probability of a rise 99 %).

What to do
----------
Keep the checkpoint nearest to the best evaluation. For the next run take the recommended number of
epochs; a shorter schedule that ends near the turning point mostly beats stopping a long one there.
More data, a lower learning rate, dropout and weight decay move the turning point back. A rise of
the train loss proves nothing: hold out some data first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import chance, percent, short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import (
    axis_known,
    best,
    curve,
    difference,
    heights,
    train_trend,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.onset import Onset

CODE = "FT201"
NAME = "overfitting"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the turning point is detected or suspected."""
    onset = case.onset
    if onset.status not in ("detected", "suspected") or onset.onset_epoch is None:
        return
    begins = "begins" if onset.status == "detected" else "may begin"
    fix = "Keep the checkpoint of the best evaluation and take the recommended number of epochs."
    proposed = case.proposed.num_train_epochs or 0.0
    if proposed > onset.onset_epoch + 1.0:
        fix = (
            f"Keep the checkpoint of the best evaluation. The {short(proposed)} epochs proposed go "
            "past this turn, since a longer run decays later: let early stopping end them."
        )
    if case.fit.target == "train":
        fix = "Hold out some data: only an eval loss can tell where overfitting begins."
    yield Finding(
        CODE,
        "warning",
        f"Overfitting {begins} at epoch {short(onset.onset_epoch)}{_rise(case)}. "
        f"{_interval(onset)}{_doubt(case)}",
        {
            "status": onset.status,
            "onset_epoch": onset.onset_epoch,
            "probability": onset.probability,
            "best_epoch": float(case.fit.points.epoch[best(case)]),
            "rise": _share(case),
            "noise": case.fit.noise,
        },
        fix,
    )


def _share(case: Case) -> float:
    loss = heights(case)
    return float(loss[-1] / loss.min() - 1.0)


def _shown(case: Case) -> bool:
    """Say whether the logged values show the rise: the lowest lies before the onset."""
    begins = case.onset.onset_epoch or 0.0
    return float(case.fit.points.epoch[best(case)]) < begins


def _rise(case: Case) -> str:
    """Say how far the last point lies above the best, and what the train loss did."""
    points, lowest = case.fit.points, best(case)
    if not _shown(case):
        return ""
    low, last = float(points.loss[lowest]), float(points.loss[-1])
    text = (
        f": the {curve(case)} rose from {short(low)} at epoch {short(float(points.epoch[lowest]))} "
        f"to {short(last)} at epoch {short(float(points.epoch[-1]))}, "
        f"{difference(case, last, low)} up"
    )
    trend = train_trend(case) if case.fit.target == "eval" else 0
    return text + {-1: ", while the train loss fell", 0: "", 1: ", and the train loss rose"}[trend]


def _interval(onset: Onset) -> str:
    if onset.interval is None:
        return f"The probability of a rise is {chance(onset.probability)}."
    low, high = onset.interval
    place = (
        f"between epochs {short(low)} and {short(high)}"
        if high > low
        else f"at epoch {short(low)}"
    )
    return (
        f"The turning point lies {place} (90 % interval; probability of a rise "
        f"{chance(onset.probability)})."
    )


def _doubt(case: Case) -> str:
    """Say when the evidence is weak: a train loss, or a single point that noise could explain."""
    points = case.fit.points
    up, noise = _share(case), case.fit.noise
    single = points.loss.size - 1 - best(case) == 1
    if case.fit.target == "train" and axis_known(case) and points.epoch[-1] <= 1.0:
        return " In a first pass over the data a rise of the train loss is noise, not overfitting."
    if single and _shown(case) and up < 3.0 * 2**0.5 * noise:
        height = "One point up" if case.fit.shift else f"One point up by {percent(up)}"
        which = ", and it is the train loss" if case.fit.target == "train" else ""
        return f" {height} is weak evidence: a point scatters by about {percent(noise)}{which}."
    if case.fit.target == "train":
        return " It is the train loss that rises, which is weak evidence of overfitting."
    return ""
