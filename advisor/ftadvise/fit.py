"""Run -> Fit: a posterior over laws, noise included, and the curves drawn from it.

The model of the points of one curve, in relative units,

    y_i = law(t_i) · (1 + d(t_i) + e_i),

has measurement noise e (independent, size read off the log) and a discrepancy d (a slow wander
around the law, Ornstein-Uhlenbeck in log time: no law is exact). Both are Gaussian with a common
unknown scale, so for every shape on a law's grid the offset and height have a closed form and the
shape a marginal likelihood. The posterior is the table of these weights (Bayesian model
averaging), and draws from it are what everything downstream works on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise import plugins
from ftadvise.errors import LogError
from ftadvise.laws import Axes, Law
from ftadvise.noise import relative_noise
from ftadvise.run import FloatArray, Run, Series
from ftadvise.schedules import Schedule, identify
from ftadvise.thinning import Points, observed_points

DRAWS = 400
# Relative size of the wander around the law. A train loss wanders more: it follows no law of
# progress where the examples come round again.
DISCREPANCY = {"eval": 0.012, "train": 0.1}
LEAST_LOSS = 0.05  # of the lowest loss seen: no draw goes below
CORRELATION = 0.7  # of the wander, in units of log(epoch)
SCALE_POINTS = 6.0  # what the assumed sizes of noise and wander are worth, in points
OFFSET_MEAN, OFFSET_SPREAD = 0.6, 0.3  # of L0 over the lowest loss


@dataclass(frozen=True)
class LawShare:
    """A law's share of the posterior, between 0 and 1."""

    name: str
    share: float


@dataclass(frozen=True, eq=False)
class Fit:
    """What the log says about the curve behind it.

    Attributes:
        run: The run that was fitted.
        target: `"eval"` or, when the log has no eval loss, `"train"`: the series that was fitted.
        points: The points it was fitted to (a long log is thinned to a few hundred means).
        noise: Relative scatter of one point around the curve.
        schedule: The learning-rate schedule.
        horizon: Epochs that the run's own schedule was made for.
        laws: Share of the posterior of every law, largest first.
        shift: Taken off all losses before fitting; not 0 only where losses are negative.
    """

    run: Run
    target: str
    points: Points
    noise: float
    schedule: Schedule
    horizon: float
    laws: tuple[LawShare, ...]
    _draws: tuple[_LawDraws, ...]
    shift: float

    @property
    def series(self) -> Series:
        """The series that was fitted, as the log has it."""
        return self.run.eval if self.target == "eval" else self.run.train

    def curves(self, epochs: FloatArray, horizon: float | None = None) -> FloatArray:
        """Draw the loss of a run of `horizon` epochs with its own schedule, noise-free.

        Args:
            epochs: Where on the run, shape (n,).
            horizon: Length of that run in epochs; this run's own when None.

        Returns:
            One curve a row, shape (draws, n), in the units of the log.
        """
        axes = axes_at(epochs, horizon or self.horizon, self.schedule, self.horizon)
        return np.concatenate([d.curves(axes) for d in self._draws]) + self.shift

    def smoothed(self) -> FloatArray:
        """Draw the curve behind the observed points: law and wander without noise.

        Returns:
            One curve a row at `points.epoch`, shape (draws, n), in the units of the log.
        """
        law = self.curves(self.points.epoch) - self.shift
        residual = (self.points.loss - self.shift) / law - 1.0
        covariance, wander = _covariances(self.points, self.noise, self.target)
        gain = np.linalg.solve(covariance, wander).T
        left = wander - gain @ wander
        root = np.linalg.cholesky(left + 1e-12 * np.eye(left.shape[0]))
        normal = np.random.default_rng(1).standard_normal(law.shape)
        scale = np.concatenate([d.scale for d in self._draws])[:, None]
        return law * (1.0 + residual @ gain.T + scale * (normal @ root.T)) + self.shift


@dataclass(frozen=True, eq=False)
class _LawDraws:
    """Draws from one law's part of the posterior; arrays of shape (draws,).

    Offset and height are in units of the lowest loss.
    """

    law: Law
    shapes: FloatArray
    offset: FloatArray
    height: FloatArray
    lowest: float
    scale: FloatArray

    def curves(self, axes: Axes) -> FloatArray:
        falling = self.height[:, None] * self.law.falling(axes, self.shapes)
        loss = self.offset[:, None] + falling + self.law.fixed(axes, self.shapes)
        return self.lowest * np.maximum(loss, LEAST_LOSS)


def axes_at(epochs: FloatArray, horizon: float, schedule: Schedule, unit: float) -> Axes:
    """Return progress and annealing at `epochs` of a run of `horizon` epochs."""
    progress = schedule.progress(epochs, horizon)
    return Axes(progress, schedule.annealing(epochs, horizon), epochs, unit)


def fit(run: Run, past: tuple[Run, ...] | list[Run] = ()) -> Fit:
    """Fit the laws to a run.

    The eval loss is fitted when the log has at least two of them, else the train loss.

    Args:
        run: The run, from `ftadvise.read`.
        past: Earlier runs of the same kind; they sharpen the noise estimate.

    Raises:
        LogError: FT405 when the run has fewer than two finite losses.
    """
    target = "eval" if np.isfinite(run.eval.loss).sum() >= 2 else "train"
    points = observed_points(run, target)
    if points.loss.size < 2:
        raise LogError(
            f"{run.source.path or 'the log'}: {points.loss.size} usable loss value(s), and two are "
            "the least that shows a direction",
            code="FT405",
            hint="Log more often (logging_steps) or give a longer log.",
        )
    shift = _shift_to_positive(points.loss)
    positive = Points(points.epoch, points.loss - shift, points.count)
    noise = _pooled_noise(positive, target, past)
    horizon = max(run.planned_epochs or 0.0, float(points.epoch[-1]))
    schedule = identify(run, horizon)
    axes = axes_at(points.epoch, horizon, schedule, horizon)
    laws: list[Law] = plugins.collect("register_laws")
    tables = [_table(law, axes, positive, noise, target) for law in laws]
    freedom = SCALE_POINTS + points.loss.size
    shares, draws = _draw(laws, tables, float(positive.loss.min()), freedom)
    return Fit(run, target, points, noise, schedule, horizon, shares, draws, shift)


def _shift_to_positive(loss: FloatArray) -> float:
    """Return what has to be taken off so that all losses are well above zero; 0 where they are."""
    lowest, range_ = float(loss.min()), float(np.ptp(loss))
    if lowest > 1e-6 * range_:
        return 0.0
    return lowest - 0.1 * range_ - 1e-9


def _pooled_noise(points: Points, target: str, past: tuple[Run, ...] | list[Run]) -> float:
    own = relative_noise(points.loss, target)
    others = [observed_points(run, target).loss for run in past]
    known = [relative_noise(loss, target) for loss in others if loss.size >= 6 and loss.min() > 0]
    if not known:
        return own
    weight = max(1.0, points.loss.size - 2.0)
    pooled = weight * own**2 + 4.0 * float(np.mean(np.square(known)))
    return float(np.sqrt(pooled / (weight + 4.0)))


def _covariances(points: Points, noise: float, target: str) -> tuple[FloatArray, FloatArray]:
    """Return the covariance of points, and of the wander alone, in relative units."""
    log_time = np.log(points.epoch + 0.02 * points.epoch[-1] + 1e-12)
    distance = np.abs(log_time[:, None] - log_time[None])
    wander = DISCREPANCY[target] ** 2 * np.exp(-distance / CORRELATION)
    return wander + np.diag(noise**2 / points.count), wander


@dataclass(frozen=True, eq=False)
class _Table:
    """One law's posterior, a row for every shape of its grid; arrays of shape (k,).

    Offset, height and their deviations are in units of the lowest loss.
    """

    log_weight: FloatArray
    offset: FloatArray
    height: FloatArray
    offset_sd: FloatArray
    height_sd: FloatArray
    slope: FloatArray
    scale: FloatArray


def _table(law: Law, axes: Axes, points: Points, noise: float, target: str) -> _Table:
    """Solve for offset and height at every shape, in closed form.

    Both are kept from going negative: when the free solution is, that one is set to zero and the
    other solved alone.
    """
    loss = points.loss / points.loss.min()
    relative = 1.0 / _smooth(loss)
    covariance, _ = _covariances(points, noise, target)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    one = whiten @ relative
    falling = (law.falling(axes, law.shapes) * relative) @ whiten.T
    rest = ((loss[None] - law.fixed(axes, law.shapes)) * relative) @ whiten.T

    precision, centre = 1.0 / OFFSET_SPREAD, OFFSET_MEAN
    has_height = (falling**2).sum(axis=1) > 0
    a11 = float(one @ one) + precision**2
    a12 = falling @ one
    a22 = np.where(has_height, (falling**2).sum(axis=1), 1.0)
    z1 = rest @ one + precision**2 * centre
    z2 = (rest * falling).sum(axis=1)
    determinant = np.maximum(a11 * a22 - a12**2, 1e-9 * a11 * a22)
    offset = (a22 * z1 - a12 * z2) / determinant
    height = (a11 * z2 - a12 * z1) / determinant
    offset, height = np.where(height < 0, z1 / a11, offset), np.maximum(height, 0.0)
    height = np.where(offset < 0, np.maximum(z2 / a22, 0.0), height)
    offset = np.maximum(offset, 0.0)

    left = rest - offset[:, None] * one - height[:, None] * falling
    squares = (left**2).sum(axis=1) + (precision * (offset - centre)) ** 2
    freedom = SCALE_POINTS + points.loss.size
    log_weight = law.log_prior - 0.5 * freedom * np.log(SCALE_POINTS + squares)
    log_weight = log_weight - 0.5 * np.log(np.where(has_height, determinant / a22, a11))
    return _Table(
        log_weight,
        offset,
        height,
        offset_sd=np.sqrt(np.where(has_height, a22 / determinant, 1.0 / a11)),
        height_sd=np.where(has_height, np.sqrt(1.0 / a22), 0.0),
        slope=np.where(has_height, -a12 / a22, 0.0),
        scale=np.sqrt((SCALE_POINTS + squares) / freedom),
    )


def _smooth(loss: FloatArray) -> FloatArray:
    """Return a running median of three, which keeps one wild point from setting its own weight."""
    if loss.size < 3:
        return loss
    middle = np.median([loss[:-2], loss[1:-1], loss[2:]], axis=0)
    return np.concatenate([loss[:1], middle, loss[-1:]])


def _draw(
    laws: list[Law], tables: list[_Table], lowest: float, freedom: float
) -> tuple[tuple[LawShare, ...], tuple[_LawDraws, ...]]:
    """Draw shapes by weight (systematic resampling) and offset and height given the shape."""
    joined = np.concatenate([t.log_weight for t in tables])
    weight = np.exp(joined - joined.max())
    weight /= weight.sum()
    places = (np.arange(DRAWS) + 0.5) / DRAWS
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), places), weight.size - 1)
    rng = np.random.default_rng(0)
    shares: list[LawShare] = []
    draws: list[_LawDraws] = []
    start = 0
    for law, table in zip(laws, tables, strict=True):
        end = start + table.log_weight.size
        shares.append(LawShare(law.name, float(weight[start:end].sum())))
        row = chosen[(chosen >= start) & (chosen < end)] - start
        start = end
        if row.size:
            scale = table.scale[row] * np.sqrt(freedom / rng.chisquare(freedom, row.size))
            first, second = rng.standard_normal((2, row.size)) * scale
            bend = first * table.offset_sd[row]
            offset = np.maximum(table.offset[row] + bend, 0.0)
            height = table.height[row] + table.slope[row] * bend + second * table.height_sd[row]
            height = np.where(table.height[row] > 0, np.maximum(height, 0.0), 0.0)
            draws.append(
                _LawDraws(law, law.shapes[row], offset, height, lowest, scale)
            )
    shares.sort(key=lambda s: -s.share)
    return tuple(shares), tuple(draws)
