"""What the eval loss of a run will be: of this run further on, or of a run of another length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ftadvise.calm import unspiked
from ftadvise.display import Card
from ftadvise.fitting import Fit, fit
from ftadvise.lengths import another_run
from ftadvise.run import FloatArray, Run
from ftadvise.trend import TAIL_90, learned, recent_trend

LARGEST_PULL = 0.5  # of a law, in log loss: where it foresees more it extrapolates wildly
MOST_LOG = 50.0  # beyond it a loss overflows before it means anything


@dataclass(frozen=True)
class Forecast(Card):
    """A loss in the future, as a 90 % interval.

    Attributes:
        epoch: Where on the run.
        median: The loss that is as likely undercut as exceeded.
        low: 5 % quantile.
        high: 95 % quantile.
        target: `"eval"`, or `"train"` when the log has no eval loss.
    """

    epoch: float
    median: float
    low: float
    high: float
    target: str = "eval"


def forecast(
    run: Run, at: float, epochs: float | None = None, past: tuple[Run, ...] | list[Run] = ()
) -> Forecast:
    """Forecast the eval loss at epoch `at`.

    Args:
        run: The run, from `ftadvise.read`.
        at: Epoch of the forecast.
        epochs: Length of the run to forecast, with a learning-rate schedule of its own. None, or
            the length of this run, continues the run in hand.
        past: Earlier runs of the same kind.

    Raises:
        LogError: FT405 when the run has fewer than two finite losses.
        ValueError: `at` or `epochs` is not positive, or `at` lies beyond `epochs`.
    """
    return forecast_from(fit(run, past), at, epochs)


def forecast_from(fitted: Fit, at: float, epochs: float | None = None) -> Forecast:
    """As `forecast`, from a fit that is already there."""
    if not at > 0 or (epochs is not None and not epochs > 0):
        raise ValueError(f"epochs must be positive, but at={at}, epochs={epochs}")
    if epochs is not None and at > epochs * (1.0 + 1e-9):
        raise ValueError(f"a run of {epochs} epochs has no epoch {at}")
    fitted = unspiked(fitted)
    if epochs is not None and abs(epochs - fitted.horizon) >= 1e-9:
        found = _quantiles(fitted, another_run(fitted, np.array([at]), epochs)[:, 0])
    elif at > fitted.points.epoch[-1]:
        found = continuation(fitted, at)
    else:
        found = _quantiles(fitted, _seen(fitted, at))
    low, median, high = np.maximum(found, fitted.floor)
    return Forecast(at, float(median), float(low), float(high), fitted.target)


def continuation(fitted: Fit, epoch: float) -> tuple[float, float, float]:
    """Return low, median and high of this run's loss at an epoch beyond its last point.

    The damped recent trend, with a share of the change that the laws foresee; the interval holds
    90 % of the losses, as logged, of curves that the constants were not learned from.
    """
    fitted = unspiked(fitted)
    trend = recent_trend(fitted.points.lowered(fitted.shift), fitted.target)
    now, then = np.median(fitted.curves(np.array([trend.last_epoch, epoch])), axis=0)
    foreseen = math.log(max(then - fitted.shift, 1e-300) / max(now - fitted.shift, 1e-300))
    law = learned().law_share * law_pull(foreseen)
    middle = trend.log_level + trend.drift * trend.ahead(epoch) + law
    width = TAIL_90 * trend.doubt(epoch)
    low, median, high = (
        math.exp(min(max(middle + way * width, -MOST_LOG), MOST_LOG)) + fitted.shift
        for way in (-1.0, 0.0, 1.0)
    )
    return low, median, high


def law_pull(foreseen: float) -> float:
    """Return a change of log loss that a law foresees, with a large one held back."""
    return LARGEST_PULL * math.tanh(foreseen / LARGEST_PULL)


def _seen(fitted: Fit, at: float) -> FloatArray:
    """Draw the curve behind the points where it has been observed."""
    smoothed = fitted.smoothed()
    draws = np.empty(smoothed.shape[0])
    for row, curve in enumerate(smoothed):
        draws[row] = np.interp(at, fitted.points.epoch, curve)
    return draws


def _quantiles(fitted: Fit, draws: FloatArray) -> tuple[float, float, float]:
    """Return the 5, 50 and 95 % quantiles of a loss as logged, from noise-free draws."""
    normal = np.random.default_rng(3).standard_normal(draws.size)
    scattered = draws + (draws - fitted.shift) * fitted.noise * normal
    low, median, high = np.quantile(scattered, [0.05, 0.5, 0.95])
    return float(low), float(median), float(high)
