"""What the gap between train and eval loss shows of a run: a few numbers without a unit.

Eval loss alone does not tell how far the optimum is away. Train loss does: once an example comes
round again, how much lower it is than the eval loss measures how much of the run has been
memorising. Of everything that a log holds, this gap says most about how many epochs the next run
should have (`python benchmarks/learn_horizon.py FAMILIES.jsonl.gz`).
"""

from __future__ import annotations

import math

import numpy as np

from ftadvise.noise import relative_noise
from ftadvise.run import FloatArray, Run
from ftadvise.thinning import Points, observed_points, without_spikes

SOFTNESS = 0.004  # evaluations within this share of the lowest loss are all "best"
LEAST_EVALS = 3
LUCK = 2.0  # standard deviations of the noise by which the last evaluation lies above the lowest


def gap_features(run: Run) -> dict[str, float] | None:
    """Measure a run; None where it cannot be: three positive eval losses and a train loss needed.

    Losses are compared as logarithms of ratios. T is the last evaluated epoch; the train loss "at"
    an epoch is its mean over the epoch before (half of the run, where that is shorter).

    Returns:
        `gap_end`, `gap_best`, `gap_half`: log train loss over eval loss at T, at the best
        evaluation and at T/2. `late`, `early`: log eval loss at T over T/2, and at T/2 over T/4.
        `rise`: log last over lowest eval loss. `best`: log of the best epoch (all evaluations
        about as good count) over T. `train_fall`: log train loss at T over one window earlier.
        `length`: log T.
    """
    points, train = observed_points(run, "eval"), observed_points(run, "train")
    if points.loss.size < LEAST_EVALS or train.loss.size < 2:
        return None
    if points.loss.min() <= 0 or train.loss.min() <= 0:
        return None
    points = without_spikes(points)
    end = float(points.epoch[-1])
    window = min(1.0, end / 2)
    lowest = int(points.loss.argmin())

    def log_eval(at: float) -> float:
        return float(np.interp(at, points.epoch, np.log(points.loss)))

    def log_train(at: float) -> float:
        return math.log(_mean(train, at - window, at))

    def gap(at: float) -> float:
        at = max(at, window)
        return log_train(at) - log_eval(at)

    return {
        "gap_end": gap(end),
        "gap_best": gap(float(points.epoch[lowest])),
        "gap_half": gap(end / 2),
        "late": log_eval(end) - log_eval(end / 2),
        "early": log_eval(end / 2) - log_eval(end / 4),
        "rise": log_eval(end) - math.log(points.loss[lowest]),
        "best": math.log(_soft_best(points) / end),
        "train_fall": log_train(end) - log_train(max(window, end - window)),
        "length": math.log(end),
    }


def risen(run: Run, features: dict[str, float]) -> float:
    """Return the `rise` of these features without what noise makes of it, as a log ratio from 0 up."""
    return max(
        0.0, features["rise"] - LUCK * relative_noise(observed_points(run, "eval").loss, "eval")
    )


def _mean(train: Points, start: float, end: float) -> float:
    """Return the mean train loss between two epochs; a point stands for the time since the last."""
    since: FloatArray = np.concatenate([[0.0], train.epoch[:-1]])
    share = np.minimum(end, train.epoch) - np.maximum(start, since)
    share = np.maximum(share, 0.0)
    if share.sum() <= 0:
        return float(np.interp((start + end) / 2, train.epoch, train.loss))
    return float(share @ train.loss / share.sum())


def _soft_best(points: Points) -> float:
    softness = max(SOFTNESS, relative_noise(points.loss, "eval"))
    above = np.log(points.loss) - np.log(points.loss.min())
    weight = np.exp(-np.expm1(np.minimum(above, 50.0)) / softness)
    return float(weight @ points.epoch / weight.sum())
