"""The course of the losses in a few rows: first, best and last always among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.stopping import train_loss_at_evals
from ftadvise.thinning import epochs_of

if TYPE_CHECKING:
    from ftadvise.advice import Advice


@dataclass(frozen=True)
class Row:
    """One point of the curve that the advice rests on.

    Attributes:
        epoch: Where it was logged.
        train: Train loss there, or its mean since the point before; None where unknown.
        eval: Eval loss; None when the log has none.
        note: What is special about it; empty for most.
    """

    epoch: float
    train: float | None
    eval: float | None
    note: str


def progression(advice: Advice, most: int = 20) -> list[Row]:
    """Return at most `most` points of the curve, spread evenly over the log."""
    series = advice.fit.series
    epochs = epochs_of(advice.run, series)
    usable = np.flatnonzero(np.isfinite(series.loss) & np.isfinite(epochs))
    if not usable.size:
        return []
    judged_eval = advice.fit.target == "eval"
    train = train_loss_at_evals(advice.run) if judged_eval else series.loss
    best = int(usable[np.argmin(series.loss[usable])])
    notes = {best: "best"}
    onset = advice.overfitting.onset_epoch
    if onset is not None:
        verb = "begins" if advice.overfitting.status == "detected" else "may begin"
        notes[int(usable[np.argmin(np.abs(epochs[usable] - onset))])] = f"overfitting {verb}"
    spread = np.linspace(0, usable.size - 1, min(usable.size, most - len(notes)))
    kept = {int(usable[i]) for i in np.round(spread).astype(int)} | set(notes)
    return [
        Row(
            float(epochs[i]),
            float(train[i]) if np.isfinite(train[i]) else None,
            float(series.loss[i]) if judged_eval else None,
            notes.get(i, ""),
        )
        for i in sorted(kept)
    ]
