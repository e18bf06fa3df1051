"""The decision about a run in progress: is more training expected to pay?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise.run import Run
from ftadvise.thinning import Points, observed_points
from ftadvise.trend import recent_trend

LEAST_EVALS = 4  # before the first decision
WORTH = 0.01  # a gain that is worth more training, as a share of the loss
DOUBT = 0.1  # stop when a gain is less likely than this
IN_A_ROW = 2  # at so many evaluations running
DROUGHT_SHARE = 0.2
DRAWS = 200
AHEAD = 2.0  # without a plan, look ahead to twice the epochs done


@dataclass(frozen=True)
class Decision:
    """Whether to stop now.

    Attributes:
        stop: True when more training is not expected to pay.
        reason: Why, in one sentence.
        probability_of_improvement: That some later evaluation of the run will be better than the
            best so far by one percent of the loss.
    """

    stop: bool
    reason: str
    probability_of_improvement: float


def should_stop(run: Run, past: tuple[Run, ...] | list[Run] = ()) -> Decision:
    """Decide whether a run in progress should stop.

    Stops when at two evaluations in a row an improvement of one percent before the end of the run
    is less likely than one in ten. Says no with fewer than four evaluations.

    Args:
        run: The run so far, from `ftadvise.read`.
        past: Earlier runs of the same kind; not used yet by this decision.
    """
    points = observed_points(run, "eval" if len(run.eval) else "train")
    size = points.loss.size
    if size < LEAST_EVALS:
        return Decision(False, f"{size} evaluations are too few to tell", 1.0)
    if points.loss.min() <= 0:
        return Decision(False, "losses at or below zero have no relative gain", 1.0)
    chances = [
        probability_of_improvement(points.first(size - back), run.planned_epochs)
        for back in range(min(IN_A_ROW, size - LEAST_EVALS + 1))
    ]
    chance = chances[0]
    if len(chances) == IN_A_ROW and max(chances) < DOUBT:
        return Decision(
            True, f"a gain of 1 % has a chance of {chance:.0%}, twice in a row", chance
        )
    return Decision(False, f"a gain of 1 % still has a chance of {chance:.0%}", chance)


def probability_of_improvement(points: Points, planned_epochs: float | None) -> float:
    """Return the chance that a later point beats the best so far by one percent.

    Args:
        points: The evaluations so far, at least two, all positive.
        planned_epochs: Where the run ends; twice the epochs done when None.
    """
    trend = recent_trend(points, "eval")
    last = trend.last_epoch
    end = planned_epochs if planned_epochs and planned_epochs > last * 1.0001 else last * AHEAD
    spacing = (last - points.epoch[0]) / max(points.epoch.size - 1, 1)
    ahead = int(min(12, max(1, round((end - last) / max(spacing, 1e-9)))))
    paths = trend.paths(np.linspace(last, end, ahead + 1)[1:], DRAWS, DROUGHT_SHARE)
    return float((paths.min(axis=1) < trend.log_best - WORTH).mean())
