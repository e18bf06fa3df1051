"""What comes next in a run: a drifting walk of log loss over log time.

For the near future of the run in hand no law beats its own recent slope, damped: on 624 real
curves the laws alone lose to the last value, and half the recent slope beats both (`python benchmarks/continuation.py CURVES.jsonl.gz`). So the continuation is drawn from

    log L(t) = log L(T) + drift · log(t/T) + wander,    drift = a · slope + c · drought

where slope is that of log L over log t on the last half of the points, and drought, the share of
points since the best, leans the path upwards: a run that has not improved for long tends to rise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise.noise import relative_noise
from ftadvise.run import FloatArray
from ftadvise.thinning import Points

SLOPE_SHARE = 0.5
DROUGHT_SHARE = 0.05
DRIFT_DOUBT = 0.6  # scale of the doubt about the drift, as a share of the slope
DRIFT_FLOOR = 0.05  # and at least this, since a level curve may turn either way
DRIFT_FREEDOM = 3.0  # of its Student-t: now and then a curve does something else altogether


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

    def paths(
        self, epochs: FloatArray, draws: int, drought_share: float = DROUGHT_SHARE
    ) -> FloatArray:
        """Draw the log loss at later epochs, without measurement noise.

        Args:
            epochs: Rising and beyond `last_epoch`, shape (n,).
            draws: How many paths.
            drought_share: Upward lean of the drift after a drought as long as the run.

        Returns:
            Shape (draws, n).
        """
        rng = np.random.default_rng(0)
        ahead = np.log(epochs / self.last_epoch)
        doubt = np.sqrt((DRIFT_DOUBT * self.slope) ** 2 + self.slope_error**2 + DRIFT_FLOOR**2)
        drift = SLOPE_SHARE * self.slope + drought_share * self.drought
        drifts = drift + doubt * rng.standard_t(DRIFT_FREEDOM, (draws, 1))
        spread = np.sqrt(2.0) * self.noise * np.sqrt(np.diff(ahead, prepend=0.0))
        wander = np.cumsum(rng.standard_normal((draws, epochs.size)) * spread, axis=1)
        paths: FloatArray = self.log_level + drifts * ahead + wander
        return paths


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
