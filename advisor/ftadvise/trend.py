"""What comes next in a run: its recent slope in log loss over log time, damped, with its doubt.

For the near future of the run in hand no law beats its own recent slope, damped. The median course
and its doubt are

    log L(t) = log L(T) + drift · h + law(t),     h = log(t / T)
    drift = cap · tanh(a · slope / cap),          cap = c · T^-p,  a = rise or fall by its sign
    doubt = w · (n · noise + (d0 + d1 · |slope|) · h^g)

where slope is that of log L over log t on the last half of the points, T the last epoch and the
doubt the scale of a Student-t with three degrees of freedom. A rise goes on, a fall slows down, and
both level off the sooner the more epochs a run has seen. `law(t)`, a share of what the fitted laws
say, is added by `ftadvise.forecasting`.

The constants are learned from real curves by `python benchmarks/learn_trend.py CURVES.jsonl.gz`,
which also prints how other ideas did, and lie in `priors/trend.json`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from ftadvise import priors
from ftadvise.noise import relative_noise
from ftadvise.run import FloatArray
from ftadvise.thinning import Points

STEEPEST = 3.0  # of a slope that is believed: a loss over the cube of time
TAIL_90 = 2.3534  # 95 % quantile of Student's t with three degrees of freedom


@dataclass(frozen=True)
class Constants:
    """What `benchmarks/learn_trend.py` learned.

    Attributes:
        rise: Share of a rising slope that goes on.
        fall: Share of a falling slope that goes on.
        cap: Largest drift after one epoch.
        cap_power: How fast that shrinks with the epochs seen.
        law_share: Share of the change that the laws foresee.
        noise_doubt: Doubt in units of the noise of one point.
        level_doubt: Doubt of a level curve at h = 1.
        slope_doubt: Doubt in units of the slope at h = 1.
        growth: Power of h with which the doubt grows.
        widening: What makes the 90 % interval hold 90 % on curves that were not learned from.
    """

    rise: float
    fall: float
    cap: float
    cap_power: float
    law_share: float
    noise_doubt: float
    level_doubt: float
    slope_doubt: float
    growth: float
    widening: float


@functools.cache
def learned() -> Constants:
    """Return the constants in `priors/trend.json`."""
    table = priors.load("trend")
    return Constants(**table["drift"], **table["doubt"])


def damped(slope: FloatArray, epoch: FloatArray, constants: Constants) -> FloatArray:
    """Return the drift that follows on `slope` after `epoch` epochs; arrays of one shape."""
    believed = np.clip(slope, -STEEPEST, STEEPEST)
    share = np.where(believed > 0, constants.rise, constants.fall)
    cap = constants.cap * epoch**-constants.cap_power
    drift: FloatArray = cap * np.tanh(share * believed / cap)
    return drift


def doubt(
    slope: FloatArray, noise: FloatArray, ahead: FloatArray, constants: Constants
) -> FloatArray:
    """Return the scale of the Student-t around the median log loss; arrays that broadcast.

    Args:
        slope: Recent slope of log loss over log time.
        noise: Relative scatter of one point.
        ahead: h, the logarithm of the target epoch over the last one, not negative.
        constants: From `learned`.
    """
    steep = np.minimum(np.abs(slope), STEEPEST)
    grown = (constants.level_doubt + constants.slope_doubt * steep) * ahead**constants.growth
    scale: FloatArray = constants.widening * (constants.noise_doubt * noise + grown)
    return scale


def student_t3(value: float) -> float:
    """Return the distribution function of Student's t with three degrees of freedom."""
    x = value / math.sqrt(3.0)
    return 0.5 + (x / (1.0 + x * x) + math.atan(x)) / math.pi


@dataclass(frozen=True)
class Trend:
    """The recent course of a curve.

    Attributes:
        last_epoch: Where it ends.
        log_level: Logarithm of the loss there, as logged.
        slope: Of log loss over log epoch, on the last half of the points.
        slope_error: Standard error of `slope`, from the noise.
        drought: Share of the points that came after the best, 0 to 1.
        noise: Relative scatter of one point.
        log_best: Logarithm of the lowest loss so far.
    """

    last_epoch: float
    log_level: float
    slope: float
    slope_error: float
    drought: float
    noise: float
    log_best: float

    @property
    def drift(self) -> float:
        """Slope of log loss over log epoch that is expected from here on."""
        return float(damped(np.array(self.slope), np.array(self.last_epoch), learned()))

    def ahead(self, epoch: float) -> float:
        """Return h, how far `epoch` lies ahead: the logarithm of it over the last epoch."""
        return math.log(max(1.0, epoch / self.last_epoch))

    def doubt(self, epoch: float) -> float:
        """Return the scale of the Student-t around the median log loss at `epoch`."""
        slope, noise, ahead = map(np.array, (self.slope, self.noise, self.ahead(epoch)))
        return float(doubt(slope, noise, ahead, learned()))


def recent_trend(points: Points, target: str) -> Trend:
    """Measure the recent course of a curve of at least two positive losses."""
    log_loss, log_time = np.log(points.loss), np.log(points.epoch)
    size = log_loss.size
    noise = relative_noise(points.loss, target)
    half = slice(-max(3, (size + 1) // 2), None)
    x, y = log_time[half] - log_time[half].mean(), log_loss[half]
    spread = float(x @ x)
    slope = float(x @ y) / max(spread, 1e-12)
    return Trend(
        last_epoch=float(points.epoch[-1]),
        log_level=float(log_loss[-1]),
        slope=slope,
        slope_error=noise / np.sqrt(max(spread, 1e-12)),
        drought=(size - 1 - int(np.argmin(log_loss))) / size,
        noise=noise,
        log_best=float(log_loss.min()),
    )
