"""When a run that holds its learning rate should begin to let it decay.

A run that warms up, holds its rate and decays at the end needs no number of epochs in advance: the
decay has to begin when the end is near, and until then nothing depends on where that is. The end
is near when hold and decay together come to the progress of the best run with a full decay. With
S1 = ∫ r^p as in `schedules`, a linear decay over E* epochs makes E* / (1 + p), and h epochs at the
peak rate with d epochs of linear decay make h + d / (1 + p), so that

    h = (E* - d) / (1 + p).

E* is what `optimum` learned for logs of a held rate. Where the log is too strange for it, the
recent trend decides: the decay begins when holding the rate for as long as the decay would last is
expected to gain less than one percent. How both do against every hold that was really run:
`python benchmarks/anneal_table.py FAMILIES.jsonl.gz`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ftadvise.numbers import short
from ftadvise.optimum import Optimum, optimum
from ftadvise.run import Run
from ftadvise.schedules import POWER
from ftadvise.thinning import Points, observed_points
from ftadvise.trend import recent_trend

LEAST_EVALS = 3  # before the first decision; as few as the gap features need
LEAST_EPOCHS = 1.0  # the gap of train and eval loss shows nothing before examples come round again
LEAST_TRUST = 0.1  # in what was learned; runs of under one epoch are below it in any case
MOST_LOG = 50.0  # a rise beyond it overflows before it means anything
WORTH = 0.01  # a gain that is worth holding the rate, as a share of the loss
# Of the default decay. Decided live on 110 fine-tunes, two epochs ended lower than one (median regret
# .48 % and .78 %) at the same cost (4.98 and 4.87 epochs), and a linear decay whose end is moved ended
# higher than either (`benchmarks/finetunes/live.py --table benchmarks/finetunes/live.jsonl.gz`).
DECAY_EPOCHS = 2.0


@dataclass(frozen=True)
class DecayDecision:
    """Whether to begin the decay now.

    Attributes:
        start: True when the decay should begin.
        reason: Why, in one sentence.
        hold_epochs: Epochs after which the decay is due, as far as can be told now; None where
            only the trend decides.
    """

    start: bool
    reason: str
    hold_epochs: float | None = None


def start_decay(
    run: Run, decay_epochs: float = DECAY_EPOCHS, cap: float | None = None
) -> DecayDecision:
    """Decide whether a run that has held its rate so far should begin to decay now.

    Args:
        run: The run so far; its train and eval loss are looked at.
        decay_epochs: Epochs that the linear decay to zero will last.
        cap: Epoch at which the decay must have ended; None for no limit.

    Raises:
        ValueError: `decay_epochs` is not positive.
    """
    if not decay_epochs > 0:
        raise ValueError(f"decay_epochs must be positive, but is {decay_epochs}")
    points = observed_points(run, "eval")
    size = points.loss.size
    done = float(points.epoch[-1]) if size else 0.0
    if cap is not None and size and done + decay_epochs >= cap:
        return DecayDecision(True, f"the decay has to end at epoch {short(cap)}", done)
    if size < LEAST_EVALS:
        return DecayDecision(False, f"{size} evaluations are too few to tell")
    if done < LEAST_EPOCHS:
        return DecayDecision(False, "the first epoch is not over")
    if points.loss.min() <= 0:
        return DecayDecision(False, "losses at or below zero have no relative gain")
    best_epochs = learned_epochs(run, points)
    if best_epochs is None:
        return _by_trend(points, decay_epochs)
    hold = max(0.0, (best_epochs - decay_epochs) / (1.0 + POWER))
    reason = (
        f"a run with a full decay would do best with about {best_epochs:.1f} epochs, and holding "
        f"the rate for {hold:.1f} before a decay of {short(decay_epochs)} makes the same progress"
    )
    # To the nearest evaluation: half of the time between two of them may be missing.
    missing = hold - done - _between(points) / 2.0
    return DecayDecision(missing <= 1e-9, reason, hold)


def learned_epochs(run: Run, points: Points) -> float | None:
    """Return the best number of epochs of a full decay; None where nothing learned applies.

    `optimum` mixes in the habit "best epoch, rounded up, plus one" for a log that is shorter than
    those that it was learned from, which every run in progress is. The habit follows the epochs
    done and says nothing about when to end, so it is taken out again.
    """
    best_epoch = float(points.epoch[points.loss.argmin()])
    found = optimum(run, True, best_epoch)
    if found is None or found.trust < LEAST_TRUST:
        return None
    return math.exp(_without_habit(found, best_epoch))


def _without_habit(found: Optimum, best_epoch: float) -> float:
    habit = math.log(math.ceil(best_epoch) + 1)
    return (found.log_epochs - (1.0 - found.trust) * habit) / found.trust


def _by_trend(points: Points, decay_epochs: float) -> DecayDecision:
    trend = recent_trend(points, "eval")
    then = trend.log_level + trend.drift * trend.ahead(trend.last_epoch + decay_epochs)
    gain = 1.0 - math.exp(min(then - trend.log_best, MOST_LOG))
    reason = (
        f"holding the rate for {short(decay_epochs)} more epochs is expected to gain "
        f"{100 * max(gain, 0.0):.1f} % on the best eval loss so far"
    )
    return DecayDecision(gain < WORTH, reason)


def _between(points: Points) -> float:
    """Return the epochs between two evaluations."""
    return float(np.median(np.diff(points.epoch)))
