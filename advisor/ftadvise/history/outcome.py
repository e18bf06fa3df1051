"""How good advice was: what had been foretold of a run beside what it reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from ftadvise.history.entries import Entry
from ftadvise.numbers import count, percent, short


@dataclass(frozen=True)
class Outcome:
    """One run that was trained on advice.

    Attributes:
        advised_epochs: Epochs that were advised.
        epochs: Epochs done.
        best_epoch: Where its eval loss was lowest.
        predicted: Expected eval loss of its best checkpoint.
        interval: 90 % interval of that; None where there was none.
        reached: Its lowest eval loss.
        inside: Whether the interval holds what was reached; None without one.
        error: Of the prediction, as a share of what was reached: above 0 where it promised worse.
        stopped: Why training ended, where that is known.
    """

    advised_epochs: float
    epochs: float | None
    best_epoch: float | None
    predicted: float
    interval: tuple[float, float] | None
    reached: float
    inside: bool | None
    error: float
    stopped: str | None


def outcome(entry: Entry) -> Outcome | None:
    """Return how good the advice was; None for a run without a prediction or an eval loss."""
    told, reached = entry.prediction, entry.best_eval_loss
    if told is None or not reached:
        return None
    interval = None if told.low is None or told.high is None else (told.low, told.high)
    return Outcome(
        advised_epochs=told.epochs,
        epochs=entry.epochs,
        best_epoch=entry.best_epoch,
        predicted=told.eval_loss,
        interval=interval,
        reached=reached,
        inside=interval[0] <= reached <= interval[1] if interval else None,
        error=(told.eval_loss - reached) / abs(reached),
        stopped=entry.facts.stopped,
    )


def judged(found: Outcome) -> str:
    """Say in a sentence how good the loss was foretold."""
    said = f"predicted {short(found.predicted)}"
    if found.interval:
        said += f" (90 %: {short(found.interval[0])} to {short(found.interval[1])})"
    where = "" if found.inside is None else ", inside" if found.inside else ", outside"
    reached = f"{said}, reached {short(found.reached)}{where}"
    if abs(found.error) < 5e-5:
        return f"{reached}: as predicted"
    return f"{reached}: {percent(abs(found.error))} {'better' if found.error > 0 else 'worse'}"


def epochs_judged(found: Outcome) -> str:
    """Say in a sentence what became of the advised epochs."""
    said = f"{short(found.advised_epochs)} advised"
    if found.epochs is not None:
        said += f", {short(found.epochs)} trained"
    return said + ("" if found.best_epoch is None else f", best at {short(found.best_epoch)}")


def track_record(entries: Iterable[Entry]) -> str:
    """Say in a sentence how good the advice has been so far; empty without an outcome."""
    found = [one for one in map(outcome, entries) if one is not None]
    if not found:
        return ""
    ranged = [one for one in found if one.inside is not None]
    inside = sum(bool(one.inside) for one in ranged)
    off = percent(median(abs(one.error) for one in found))
    said = f"Advice so far: {count(len(found), 'run')}, {off} off in the median"
    return said + (f", {inside} of {len(ranged)} inside the 90 % interval" if ranged else "")
