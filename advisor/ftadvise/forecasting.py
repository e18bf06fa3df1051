"""What the eval loss of a run will be: of this run further on, or of a run of another length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ftadvise.fitting import CORRELATION, DISCREPANCY, Fit, fit
from ftadvise.run import FloatArray, Run
from ftadvise.trend import recent_trend

LAW_SHARE = 0.25  # of the law in the continuation of a run; the recent trend has the rest


@dataclass(frozen=True)
class Forecast:
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
        ValueError: `at` or `epochs` is not positive.
    """
    return forecast_from(fit(run, past), at, epochs)


def forecast_from(fitted: Fit, at: float, epochs: float | None = None) -> Forecast:
    """As `forecast`, from a fit that is already there."""
    if not at > 0 or (epochs is not None and not epochs > 0):
        raise ValueError(f"epochs must be positive, but at={at}, epochs={epochs}")
    if epochs is None or abs(epochs - fitted.horizon) < 1e-9:
        draws = continuation(fitted, np.array([at]))[:, 0]
    else:
        draws = another_run(fitted, np.array([at]), epochs)[:, 0]
    quantiles: FloatArray = np.quantile(_scattered(fitted, draws), [0.05, 0.5, 0.95])
    low, median, high = np.maximum(quantiles, fitted.floor)
    return Forecast(at, float(median), float(low), float(high), fitted.target)


def another_run(fitted: Fit, epochs: FloatArray, horizon: float) -> FloatArray:
    """Draw the loss of a run of `horizon` epochs, with the doubt that it is another run.

    Returns:
        One curve a row, noise-free, shape (draws, n).
    """
    curves = fitted.curves(epochs, horizon)
    stretch = abs(math.log(horizon / float(fitted.points.epoch[-1])))
    doubt = DISCREPANCY[fitted.target] * math.sqrt(1.0 + stretch / CORRELATION)
    normal = np.random.default_rng(2).standard_normal((curves.shape[0], 1))
    return curves * (1.0 + doubt * normal)


def continuation(fitted: Fit, epochs: FloatArray) -> FloatArray:
    """Draw the course of this run at `epochs`, noise-free.

    Up to the last point it is the curve behind the points; beyond it, the recent trend in three
    draws of four and the law in the fourth, carried on from where the run stands.

    Returns:
        One curve a row, shape (draws, n), in the units of the log.
    """
    seen = fitted.points.epoch
    now = fitted.smoothed()
    within = np.minimum(epochs, seen[-1])
    past = np.empty((now.shape[0], epochs.size))
    for row, curve in zip(past, now, strict=True):
        row[:] = np.interp(within, seen, curve)
    ahead = epochs > seen[-1]
    if not ahead.any():
        return past
    size = now.shape[0]
    shift = fitted.shift
    trend = recent_trend(fitted.points.lowered(shift), fitted.target)
    paths = np.exp(np.clip(trend.paths(epochs[ahead], size), -50.0, 50.0)) + shift
    law = fitted.curves(np.concatenate([seen[-1:], epochs[ahead]])) - shift
    carried = law[:, 1:] / law[:, :1] * (now[:, -1:] - shift) + shift
    past[:, ahead] = paths
    every = round(1.0 / LAW_SHARE)
    past[::every, ahead] = carried[::every]
    return past


def _scattered(fitted: Fit, draws: FloatArray) -> FloatArray:
    normal = np.random.default_rng(3).standard_normal(draws.size)
    return draws + (draws - fitted.shift) * fitted.noise * normal
