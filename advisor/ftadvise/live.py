"""The decision about a run in progress: is more training expected to pay?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ftadvise import priors
from ftadvise.display import Card
from ftadvise.numbers import chance as in_percent
from ftadvise.numbers import count
from ftadvise.run import LearningRates, Run
from ftadvise.schedules import Schedule, identify
from ftadvise.thinning import Points, observed_points
from ftadvise.trend import Trend, recent_trend, student_t3

# Before the first decision. Fewer stop on a first plateau; with more, the difference is within the
# noise of the few curves that decide it (`python benchmarks/learn_trend.py CURVES.jsonl.gz`).
LEAST_EVALS = 5
WORTH = 0.01  # a gain that is worth more training, as a share of the loss
IN_A_ROW = 2  # so many evaluations running must say stop
AHEAD = 2.0  # without a plan, look ahead to twice the epochs done
# What a decay of the rate to zero may take off the loss. Of fine-tunes that held their rate and then
# let it decay, those at their best when the decay began gained 4 %; those up to 2 % above it ended
# between 3 % below it and at it, by the data; those further up did not come back. Without it runs
# stop some percent earlier and lose more (`python benchmarks/stop_before_decay.py FAMILIES.jsonl.gz`).
ANNEALING_GAIN = 0.05
COME_DOWN = 0.03  # of the peak: a rate closer to it stands still


@dataclass(frozen=True)
class Decision(Card):
    """Whether to stop now.

    Attributes:
        stop: True when more training is not expected to pay.
        reason: Why, in one sentence.
        probability_of_improvement: That the run will end better than the best so far by one
            percent of the loss.
    """

    stop: bool
    reason: str
    probability_of_improvement: float


def should_stop(run: Run, past: tuple[Run, ...] | list[Run] = ()) -> Decision:
    """Decide whether a run in progress should stop.

    Stops when at two evaluations in a row a gain of one percent by the end of the run is less
    likely than a share that was learned from real curves. Where the log shows a learning rate that
    is still to come down, what the decay usually gains counts as foreseen, so that a run is not
    stopped on a plateau before its decay. Says no before the sixth evaluation: the two decisions
    need five each.

    Args:
        run: The run so far, from `ftadvise.read`.
        past: Earlier runs of the same kind; not used yet by this decision.
    """
    target = "eval" if np.isfinite(run.eval.loss).any() else "train"
    points = observed_points(run, target)
    size = points.loss.size
    if size < LEAST_EVALS:
        said = count(size, "evaluation")
        return Decision(False, f"{said} {'is' if size == 1 else 'are'} too few to tell", 1.0)
    if points.loss.min() <= 0:
        return Decision(False, "losses at or below zero have no relative gain", 1.0)
    chances = [
        probability_of_improvement(
            recent_trend(prefix, target), run.planned_epochs, annealing_gain(run, prefix)
        )
        for prefix in (points.first(size - back) for back in range(IN_A_ROW))
        if prefix.loss.size >= LEAST_EVALS
    ]
    likely = in_percent(chances[0])
    if len(chances) == IN_A_ROW and max(chances) < priors.load("trend")["stop"]["chance"]:
        return Decision(
            True, f"a gain of 1 % has a chance of {likely}, twice in a row", chances[0]
        )
    return Decision(False, f"a gain of 1 % still has a chance of {likely}", chances[0])


def probability_of_improvement(
    trend: Trend, planned_epochs: float | None, foreseen: float = 0.0
) -> float:
    """Return the chance that the run ends better than its best so far by one percent.

    Args:
        trend: The recent course of the evaluations.
        planned_epochs: Where the run ends; twice the epochs done when None.
        foreseen: Fall in log loss by then that the trend cannot know of.
    """
    last = trend.last_epoch
    end = planned_epochs if planned_epochs and planned_epochs > last * 1.0001 else last * AHEAD
    drift = trend.drift + priors.load("trend")["stop"]["drought"] * trend.drought
    middle = trend.log_level + drift * trend.ahead(end) - foreseen
    return student_t3((trend.log_best - WORTH - middle) / trend.doubt(end))


def annealing_gain(run: Run, points: Points) -> float:
    """Return what the rest of the learning rate's decay usually takes off the log loss.

    Args:
        run: The run so far; without planned epochs nothing is known of its decay.
        points: Its evaluations up to the moment that is asked about.
    """
    horizon, last = run.planned_epochs, float(points.epoch[-1])
    if not horizon or last >= horizon:
        return 0.0
    now, end = _schedule(run, horizon).annealing(np.array([last, horizon]), horizon)
    return ANNEALING_GAIN * float(end - now)


def _schedule(run: Run, horizon: float) -> Schedule:
    """Return the schedule of the run; that which the log names while the rate has not come down.

    A rate that has stood still so far fits a constant and any schedule whose decay is to come.
    """
    rates = run.lr.rate[np.isfinite(run.lr.rate)]
    if rates.size and rates[-1] < (1.0 - COME_DOWN) * rates.max():
        return identify(run, horizon)
    return identify(replace(run, lr=LearningRates()), horizon)
