"""The short reason beside each setting, for a reader who has not seen the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.numbers import chance, short
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.advice import Advice, Recommendation

ADDS_UP = "of the loss, absolute; smaller gains add up"
NEVER_ADDS_UP = "of the loss, absolute; smaller gains do not count and never add up"


@dataclass(frozen=True)
class Why:
    """Reasons, one line each, without the comment sign in front.

    Attributes:
        head: What all of it is, and from which log.
        epochs: Why so many.
        every: Why evaluations are so far apart.
        save: Why checkpoints are saved as often.
        keep: Why so many are kept.
        best: Why the best is loaded.
        patience: What patience counts, and how safe it is.
    """

    head: str
    epochs: str
    every: str
    save: str
    keep: str
    best: str
    patience: str


def why(advice: Advice) -> Why:
    """Return the reasons for the settings that `advice` recommends."""
    advised = advice.recommendation
    return Why(
        head=f"The next run, as ftadvise reads it off {clean(advice.source['path'], 200)}",
        epochs=_epochs(advice, advised),
        every=_every(advice),
        save="as often as it evaluates: every model that was judged can be kept",
        keep="the best may turn out to be any of so many, the newest included",
        best="the best model is what counts, not the last",
        patience=patience(advised.probability_of_false_stop, "evaluations"),
    )


def evals_per_epoch(advice: Advice) -> int:
    """Return how many evaluations the recommendation has in an epoch."""
    steps, every = advice.observed.steps_per_epoch, advice.recommendation.eval_steps
    return max(1, round(steps / every)) if steps and every else 1


def patience(false_stop: float, counted: str) -> str:
    """Say what patience counts, and the chance that it stops a run falsely."""
    return f"{counted} without a gain; {chance(false_stop)} chance of stopping too early"


def _epochs(advice: Advice, advised: Recommendation) -> str:
    low, high = advised.epochs_range
    near = f"; {low} to {high} are about as good" if low < high else ""
    if advice.fit.target == "train":
        return f"by habit, as the log has too few eval losses{near}"
    return f"expect an eval loss of {short(advised.expected_eval_loss)}{near}"


def _every(advice: Advice) -> str:
    per_epoch, steps = evals_per_epoch(advice), advice.observed.steps_per_epoch
    often = "once" if per_epoch == 1 else f"{per_epoch} times"
    return f"{often} an epoch{f' of {short(steps)} steps, as in the log' if steps else ''}"
