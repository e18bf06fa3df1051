"""What the live decision sees at every evaluation of a real curve, and what stopping then costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from real_curves import Curve

from ftadvise.live import AHEAD, LEAST_EVALS, WORTH, annealing_gain
from ftadvise.run import FloatArray
from ftadvise.thinning import observed_points
from ftadvise.trend import Constants, damped, doubt, recent_trend

NOTHING = 1e-5  # a regret
PATIENCES = (1, 2, 3, 4, 5, 7, 10)

IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Moments:
    """One row for each evaluation at which a run could be stopped, in order.

    Attributes:
        curve: Place of the curve in the list.
        count: Evaluations done.
        slope: Of log loss over log epoch.
        noise: Relative scatter of one point.
        epoch: Last epoch.
        above: Log loss over the lowest so far.
        drought: Share of the points since the best.
        ahead: Logarithm of the planned epochs over the last one.
        foreseen: What the rest of the learning rate's decay is expected to gain.
    """

    curve: IntArray
    count: IntArray
    slope: FloatArray
    noise: FloatArray
    epoch: FloatArray
    above: FloatArray
    drought: FloatArray
    ahead: FloatArray
    foreseen: FloatArray

    def margin(self, constants: Constants, lean: float) -> FloatArray:
        """Return where a gain lies on the Student-t of the end, in its scale: low is hopeless."""
        drift = damped(self.slope, self.epoch, constants) + lean * self.drought
        middle = self.above + drift * self.ahead - self.foreseen
        scale = doubt(self.slope, self.noise, self.ahead, constants)
        place: FloatArray = (-WORTH - middle) / scale
        return place


def moments(curves: list[Curve]) -> Moments:
    """Return every moment of every curve at which a run may be stopped."""
    rows: list[tuple[float, ...]] = []
    for place, curve in enumerate(curves):
        plan = curve.run.planned_epochs
        for count in range(LEAST_EVALS, curve.losses.size):
            points = observed_points(curve.first(count), "eval")
            if points.loss.size < LEAST_EVALS:
                continue
            trend = recent_trend(points, "eval")
            last = trend.last_epoch
            end = plan if plan and plan > last * 1.0001 else AHEAD * last
            above, ahead = trend.log_level - trend.log_best, math.log(end / last)
            gain = annealing_gain(curve.run, points)
            state = (trend.slope, trend.noise, last, above, trend.drought, ahead, gain)
            rows.append((place, count, *state))
    table = np.array(rows, dtype=np.float64)
    return Moments(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), *table[:, 2:].T)


def first_stops(
    hopeless: np.ndarray[tuple[int], np.dtype[np.bool_]], at: Moments, sizes: IntArray
) -> IntArray:
    """Return after how many evaluations each curve is stopped: at the second hopeless in a row."""
    same = np.concatenate([[False], at.curve[1:] == at.curve[:-1]])
    before = np.concatenate([[False], hopeless[:-1]])
    stop = np.flatnonzero(hopeless & before & same)
    stops = sizes.copy()
    curves, places = np.unique(at.curve[stop], return_index=True)
    stops[curves] = at.count[stop[places]]
    return stops


def spent_and_regret(curves: list[Curve], stops: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the share of evaluations spent, and by how much the best was missed (at most 1)."""
    spent = np.array([stop / c.losses.size for c, stop in zip(curves, stops, strict=True)])
    regret = [
        c.losses[:stop].min() / c.losses.min() - 1 for c, stop in zip(curves, stops, strict=True)
    ]
    return spent, np.minimum(1.0, np.array(regret))


def patience_stops(losses: FloatArray, patience: int) -> int:
    """Return when patience without a threshold stops; the end when it never does."""
    best, waited = math.inf, 0
    for count, loss in enumerate(losses, start=1):
        waited = 0 if loss < best else waited + 1
        best = min(best, float(loss))
        if waited >= patience:
            return count
    return losses.size


@dataclass(frozen=True, eq=False)
class Frontier:
    """What early stopping by patience spends and loses, from patience 1 to none at all.

    Attributes:
        spent: Share of evaluations, shape (policies, curves).
        regret: Shape (policies, curves).
    """

    spent: FloatArray
    regret: FloatArray

    def share(self, spent: FloatArray, regret: FloatArray, weights: FloatArray) -> float:
        """Return a policy's mean regret over the frontier's where that spends as much.

        Args:
            spent: Of the policy, shape (curves,).
            regret: Of the policy, shape (curves,).
            weights: How much every curve counts, shape (curves,).

        Returns:
            NaN where patience loses next to nothing (under 0.001 %), so that nothing is to be won.
        """
        mean_spent = self.spent @ weights / weights.sum()
        mean_regret = self.regret @ weights / weights.sum()
        order = np.argsort(mean_spent)
        mine = spent @ weights / weights.sum()
        theirs = np.interp(mine, mean_spent[order], mean_regret[order])
        if theirs < NOTHING:
            return math.nan
        return float(regret @ weights / weights.sum() / theirs)


def frontier(curves: list[Curve]) -> Frontier:
    """Return the frontier of patience on these curves."""
    pairs = [
        spent_and_regret(curves, np.array([patience_stops(c.losses, p) for c in curves]))
        for p in PATIENCES
    ]
    end = np.ones(len(curves))
    spent = np.array([pair[0] for pair in pairs] + [end])
    return Frontier(spent, np.array([pair[1] for pair in pairs] + [0.0 * end]))
