"""What several rules look at: a curve's best point, its ending, its rates, its evaluations.

All shares are taken of the loss above `Fit.shift`, so they have a meaning for negative losses too;
noise is the scatter of one point, as `Fit.noise`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.noise import relative_noise
from ftadvise.numbers import percent, short
from ftadvise.thinning import Points, epochs_known, observed_points
from ftadvise.trend import recent_trend

if TYPE_CHECKING:
    from ftadvise.rules.case import Case
    from ftadvise.run import FloatArray, Settings

SPENT_RATE = 0.05  # share of the peak learning rate below which next to nothing is learned
UNUSED_DEFAULT = 500.0  # save_steps where nothing else is set


def curve(case: Case) -> str:
    """Return what the fitted curve is called: `"eval loss"` or `"train loss"`."""
    return f"{case.fit.target} loss"


def heights(case: Case) -> FloatArray:
    """Return the fitted points as positive losses."""
    return case.fit.points.loss - case.fit.shift


def best(case: Case) -> int:
    """Return which of the fitted points is the lowest."""
    return int(case.fit.points.loss.argmin())


def last_epoch(case: Case) -> float:
    """Return the epoch of the last fitted point."""
    return float(case.fit.points.epoch[-1])


def difference(case: Case, high: float, low: float) -> str:
    """Return how far `high` lies above `low`: in per cent of the loss where that has a meaning."""
    return short(high - low) if case.fit.shift else percent(high / low - 1.0)


def positive(value: float | None) -> float | None:
    """Return `value` if it is a finite number above zero."""
    return value if value is not None and math.isfinite(value) and value > 0 else None


def rate_at(case: Case, epoch: float) -> float:
    """Return the learning rate at `epoch` of this run, as a share of its peak."""
    return float(case.fit.schedule.rate(np.array([epoch / case.fit.horizon]))[0])


def blocks(loss: FloatArray) -> FloatArray:
    """Return means over equal blocks, last point included: eighths of a long curve, else points."""
    size = max(1, loss.size // 8)
    whole = loss[loss.size % size :].reshape(-1, size)
    means: FloatArray = whole.mean(axis=1)
    return means


@dataclass(frozen=True)
class Ending:
    """How a curve ends.

    Attributes:
        falling: Whether it falls by more than noise, the last stretch included.
        gain: Fall over the last stretch, as a share.
        stretch: What that is: `"point"`, or `"eighth of the points"` on a long curve.
        change: Change over the last quarter by a straight line, as a share; negative when falling.
        doubt: Standard error of `change`.
    """

    falling: bool
    gain: float
    stretch: str
    change: float
    doubt: float


def ending(case: Case) -> Ending | None:
    """Return how the fitted curve ends; None with fewer than four points."""
    points, loss = case.fit.points, heights(case)
    if loss.size < 4:
        return None
    means = blocks(loss)
    gain = float(means[-2] / means[-1] - 1.0)
    trend = recent_trend(Points(points.epoch, loss, points.count), case.fit.target)
    clear = trend.slope < -2.0 * trend.slope_error
    noise = case.fit.noise / math.sqrt(max(1, loss.size // 8))
    falling = bool(clear and gain > noise and int(means.argmin()) == means.size - 1)
    tail = slice(-max(3, loss.size // 4), None)
    x, y = points.epoch[tail] - points.epoch[tail].mean(), loss[tail] / loss[tail].mean()
    spread = float(x @ x)
    span = float(np.ptp(points.epoch[tail]))
    change = float(x @ y) / spread * span if spread > 0 else 0.0
    doubt = case.fit.noise / math.sqrt(spread) * span if spread > 0 else case.fit.noise
    stretch = "point" if loss.size < 16 else "eighth of the points"
    return Ending(falling, gain, stretch, change, doubt)


def eval_spacing(case: Case, settings: Settings, cap: float) -> float | None:
    """Return the epochs from one evaluation to the next in a run of `cap` epochs."""
    steps, per_epoch = positive(settings.eval_steps), positive(case.run.steps_per_epoch)
    if steps is not None and steps < 1:  # a share of all steps, as transformers allows
        return steps * cap
    if steps is not None:
        return steps / per_epoch if per_epoch else None
    if settings is case.proposed:
        return 1.0
    if case.fit.target == "eval" and case.fit.points.epoch.size > 1:
        return positive(float(np.median(np.diff(case.fit.points.epoch))))
    return None


def spacing_text(spacing: float) -> str:
    """Return how often evaluations come, in words: `"one evaluation per epoch"`."""
    per_epoch = 1.0 / spacing
    if abs(per_epoch - 1.0) < 0.02:
        return "one evaluation per epoch"
    if per_epoch > 1 and abs(per_epoch - round(per_epoch)) < 0.02:
        return f"{round(per_epoch)} evaluations per epoch"
    return f"an evaluation every {short(spacing)} epochs"


def axis_known(case: Case) -> bool:
    """Say whether "epoch" means a pass over the data in this log."""
    return epochs_known(case.run)


def positive_losses(case: Case) -> FloatArray | None:
    """Return block means of the train loss; None when it is missing or not positive throughout."""
    loss = observed_points(case.run, "train").loss
    return blocks(loss) if loss.size >= 2 and float(loss.min()) > 0 else None


def train_trend(case: Case) -> int:
    """Return whether the train loss fell (-1) or rose (1) since the best point; 0 where unclear."""
    points = observed_points(case.run, "train")
    since = float(case.fit.points.epoch[best(case)])
    after = points.loss[points.epoch > since]
    before = points.loss[points.epoch <= since][-max(1, after.size) :]
    if not (after.size and before.size) or float(points.loss.min()) <= 0:
        return 0
    # The latter half of what came after against as much just before the best.
    late = after[after.size // 2 :]
    change = float(np.log(late.mean() / before[-late.size :].mean()))
    doubt = 2.0 * relative_noise(points.loss, "train") * math.sqrt(2.0 / late.size)
    return 0 if abs(change) <= doubt else int(math.copysign(1, change))


def best_eval_step(case: Case) -> float | None:
    """Return the step of the lowest eval loss; None when there is none or its step is unknown."""
    evals = case.run.eval.finite()
    return positive(float(evals.step[evals.loss.argmin()])) if len(evals) else None


def save_steps(case: Case) -> float | None:
    """Return the steps from one checkpoint to the next in this run; None where unknown.

    transformers writes its default of 500 into `trainer_state.json` even when it saves once per
    epoch, so with evaluations at whole epochs 500 says nothing.
    """
    saves, evals = positive(case.used.save_steps), positive(case.used.eval_steps)
    per_epoch = positive(case.run.steps_per_epoch)
    if saves == UNUSED_DEFAULT and evals and per_epoch:
        passes = evals / per_epoch
        if round(passes) and abs(passes / round(passes) - 1.0) < 0.01:
            return None
    return saves
