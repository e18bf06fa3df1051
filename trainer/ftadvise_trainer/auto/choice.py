"""`train --auto`: what the past says about a run that is to come, as settings for it.

With a past run of the same fine-tune its advice is taken over. A past run of other data or another
model, or none at all, leaves the number of epochs open: then the run holds its rate and lets it
decay when its own curves say that the end is near (`lr_scheduler_type: auto`), and what is chosen
here is only the most epochs that this may take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise.advising import advise
from ftadvise.carrying import Change, differences
from ftadvise.errors import FtadviseError
from ftadvise.history.entries import Prediction, prediction_of
from ftadvise.numbers import count
from ftadvise.text import clean
from ftadvise_trainer.settings.keys import AUTO_SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice
    from ftadvise.history.facts import Facts
    from ftadvise.run import Run

CAP = 10
"""Epochs of a run without a past at most: the longest that the decision to decay was measured on."""
EVALS_PER_EPOCH = 2
KEPT = 5
"""Checkpoints to keep of a run without a past, as many as advice asks for: they may be averaged."""
LIKELY = 1.645
"""Standard deviations to the upper end of a 90 % interval."""


@dataclass(frozen=True, eq=False)
class Past:
    """An earlier run, and what is known of it.

    Attributes:
        run: The run.
        facts: Model, data and how it was trained.
        where: Its log, or its number in the history, for people.
    """

    run: Run
    facts: Facts
    where: str

    def change_to(self, facts: Facts) -> Change:
        """Return what is known to change from it to a run that is to come."""
        return Change(self.facts, facts)


@dataclass(frozen=True)
class Choice:
    """Settings of `training:` that were chosen, and what they rest on.

    Attributes:
        settings: By key.
        why: Where each comes from, by the same keys.
        lines: What to tell the person who watches.
        prediction: What is foretold of the run; None where nothing is.
    """

    settings: dict[str, Any]
    why: dict[str, str]
    lines: tuple[str, ...] = ()
    prediction: Prediction | None = None


def choose(facts: Facts, steps_per_epoch: int, past: Sequence[Past]) -> Choice:
    """Choose the settings of a run that is to come.

    Args:
        facts: What is known of it.
        steps_per_epoch: Optimizer steps in an epoch of it.
        past: Earlier runs, the one that says most first; of these the first with the fewest
            differences decides, one of the same data before any other.
    """
    past = sorted(past, key=lambda one: _distance(one.change_to(facts)))
    for lead in past:
        change = lead.change_to(facts)
        others = [one.run for one in past if one is not lead]
        try:
            advice = advise(lead.run, past=others, change=change)
        except FtadviseError:
            continue  # too short to say anything; the next one may say more
        if differences(change) or advice.fit.target == "train":
            return _carried(advice, change, lead, steps_per_epoch)
        return _advised(advice, lead, steps_per_epoch)
    why = "no earlier run is known"
    return _open(CAP, why, steps_per_epoch, (why,))


def _distance(change: Change) -> tuple[bool, int]:
    return change.other_data, len(differences(change))


def _advised(advice: Advice, lead: Past, steps_per_epoch: int) -> Choice:
    """Take over the advice of a run of the same fine-tune."""
    found = advice.recommendation
    before = lead.run.steps_per_epoch
    per_epoch = round(before / found.eval_steps) if before and found.eval_steps else 1
    settings = {
        "num_train_epochs": float(found.num_train_epochs),
        **_cadence(steps_per_epoch, per_epoch),
        "save_total_limit": found.save_total_limit,
        "early_stopping_patience": found.early_stopping_patience,
        "early_stopping_threshold": found.early_stopping_threshold,
    }
    why = f"advised from {clean(lead.where, 200)}"
    low, high = found.epochs_range
    about = f"{low} to {high} are about as good" if low < high else "no other number is as good"
    line = f"{why}: {count(found.num_train_epochs, 'epoch')}; {about}"
    return Choice(settings, dict.fromkeys(settings, why), (line,), prediction_of(advice))


def _carried(advice: Advice, change: Change, lead: Past, steps_per_epoch: int) -> Choice:
    """Leave the number of epochs open, up to where the carried optimum may lie."""
    optimum = advice.fit.optimum
    cap = advice.recommendation.num_train_epochs
    said = "it has no eval loss beside its train loss"
    if optimum is not None:
        middle = math.exp(optimum.log_epochs)
        low, high = (math.exp(optimum.log_epochs + s * LIKELY * optimum.spread) for s in (-1, 1))
        cap = max(cap, math.ceil(high))
        said = f"about {middle:.1f} epochs carry over from it (90 %: {low:.1f} to {high:.1f})"
    different = ", ".join(differences(change)) or "the same fine-tune"
    why = f"carried over from {clean(lead.where, 200)}: {different}"
    return _open(cap, why, steps_per_epoch, (f"{why}; {said}",))


def _open(cap: int, why: str, steps_per_epoch: int, lines: tuple[str, ...]) -> Choice:
    settings = {
        "num_train_epochs": float(cap),
        "lr_scheduler_type": AUTO_SCHEDULE,
        **_cadence(steps_per_epoch, EVALS_PER_EPOCH),
        "save_total_limit": KEPT,
        "early_stopping_patience": None,
        "early_stopping_threshold": 0.0,
        "stop_when_eval_rises_while_train_falls": None,
    }
    return Choice(settings, dict.fromkeys(settings, why), lines)


def _cadence(steps_per_epoch: int, per_epoch: int) -> dict[str, Any]:
    every = max(1, round(steps_per_epoch / max(1, per_epoch)))
    return {
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
    }
