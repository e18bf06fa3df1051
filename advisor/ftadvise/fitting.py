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

import functools
from dataclasses import dataclass

import numpy as np

from ftadvise import plugins
from ftadvise.display import Plottable
from ftadvise.errors import LogError
from ftadvise.laws import Axes
from ftadvise.noise import relative_noise
from ftadvise.optimum import Optimum, agreed, optimum
from ftadvise.posterior import SCALE_POINTS, LawDraws, LawShare, draw, solve_all
from ftadvise.run import FloatArray, Run, Series
from ftadvise.schedules import Schedule, identify
from ftadvise.text import clean
from ftadvise.thinning import Points, observed_points, without_spikes
from ftadvise.together import once, same_fine_tune

# Relative size of the wander around the law. A train loss wanders more: it follows no law of
# progress where the examples come round again.
DISCREPANCY = {"eval": 0.012, "train": 0.1}
CORRELATION = 0.7  # of the wander, in units of log(epoch)
ENDED = 0.95  # of its schedule, for a run that has come to its end


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Plottable):
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
        optimum: Where the best number of epochs lies; None where only laws and habit are left:
            without eval or train loss.
        peers: Length in epochs and lowest eval loss of other runs of the same fine-tune.
    """

    run: Run
    target: str
    points: Points
    noise: float
    schedule: Schedule
    horizon: float
    laws: tuple[LawShare, ...]
    _draws: tuple[LawDraws, ...]
    shift: float
    optimum: Optimum | None = None
    peers: tuple[tuple[float, float], ...] = ()

    def __repr__(self) -> str:
        law = clean(self.laws[0].name, 40)
        return f"Fit({self.target!r}, noise={self.noise:.4g}, law={law!r}, run={self.run!r})"

    @property
    def series(self) -> Series:
        """The series that was fitted, as the log has it."""
        return self.run.eval if self.target == "eval" else self.run.train

    @property
    def floor(self) -> float:
        """The least loss that can be promised: 0 unless the log has negative ones."""
        return 0.0 if self.points.loss.min() >= 0 else -np.inf

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
            One curve a row at `points.epoch`, shape (draws, n), in the units of the log; read-only.
        """
        return self._smoothed

    @functools.cached_property
    def _smoothed(self) -> FloatArray:  # asked for by the onset and by every forecast
        law = self.curves(self.points.epoch) - self.shift
        residual = (self.points.loss - self.shift) / law - 1.0
        covariance, wander = _covariances(self.points, self.noise, self.target)
        gain = np.linalg.solve(covariance, wander).T
        left = wander - gain @ wander
        root = np.linalg.cholesky(left + 1e-12 * np.eye(left.shape[0]))
        normal = np.random.default_rng(1).standard_normal(law.shape)
        scale = np.concatenate([d.scale for d in self._draws])[:, None]
        wandering: FloatArray = residual @ gain.T + scale * (normal @ root.T)
        smoothed = law * (1.0 + wandering) + self.shift
        smoothed.setflags(write=False)
        return smoothed


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
    past = [one for one in once([*past, run]) if one is not run]
    target = "eval" if np.isfinite(run.eval.loss).sum() >= 2 else "train"
    points = observed_points(run, target)
    if points.loss.size < 2:
        raise LogError(
            f"{run.source.path or 'the log'}: {_usable(run)}; two of a kind are the least that shows "
            "a direction",
            code="FT405",
            hint="Log more often (logging_steps) or give a longer log.",
        )
    shift = _shift_to_positive(points.loss)
    positive = without_spikes(points.lowered(shift))
    noise = _pooled_noise(positive, target, past)
    horizon = max(run.planned_epochs or 0.0, float(points.epoch[-1]))
    schedule = identify(run, horizon)
    axes = axes_at(points.epoch, horizon, schedule, horizon)
    covariance, _ = _covariances(positive, noise, target)
    given = plugins.collect("register_laws")
    laws, tables = solve_all(given, axes, positive.loss, covariance)
    freedom = SCALE_POINTS + points.loss.size
    shares, draws = draw(laws, tables, float(positive.loss.min()), freedom)
    same = [one for one in past if target == "eval" and same_fine_tune(one, run)]
    return Fit(
        run,
        target,
        points,
        noise,
        schedule,
        horizon,
        shares,
        draws,
        shift,
        _optimum([run, *same]) if target == "eval" else None,
        tuple((_horizon(one), float(np.nanmin(one.eval.loss))) for one in same if _ended(one)),
    )


def _horizon(run: Run) -> float:
    """Return the epochs that a run's schedule was made for, or that it had."""
    seen = observed_points(run, "eval").epoch
    return max(run.planned_epochs or 0.0, float(seen[-1]) if seen.size else 0.0)


def _ended(run: Run) -> bool:
    """Say whether a run was trained to the end of its schedule."""
    seen = observed_points(run, "eval").epoch
    return bool(seen.size) and float(seen[-1]) >= ENDED * _horizon(run)


def _optimum(runs: list[Run]) -> Optimum | None:
    """Return where the best number of epochs lies, by the logs of one fine-tune."""
    found: list[Optimum] = []
    for run in runs:
        points = observed_points(run, "eval")
        if not points.loss.size:
            continue
        best = float(points.epoch[points.loss.argmin()])
        # A run that was broken off is asked about as if it had decayed: that is much better than to
        # ask the laws alone (`benchmarks/broken_off.py`).
        held = not identify(run, _horizon(run)).anneals
        one = optimum(run, held and len(run.lr) > 0, best)
        found += [one] if one else []
    return agreed(found) if found else None


def _usable(run: Run) -> str:
    sizes = [int(observed_points(run, target).loss.size) for target in ("train", "eval")]
    return f"{sizes[0]} usable train and {sizes[1]} usable eval loss values"


def _shift_to_positive(loss: FloatArray) -> float:
    """Return what has to be taken off so that all losses are well above zero; 0 where they are."""
    lowest, range_ = float(loss.min()), float(np.ptp(loss))
    # Measured on the usual and the first loss: a curve that explodes is positive all the same.
    usual = max(0.0, min(float(np.median(loss)), float(loss[0])))
    if lowest > max(1e-6 * usual, 1e-100 * range_):
        return 0.0
    return lowest - 0.1 * range_ - 1e-9


def _pooled_noise(points: Points, target: str, past: list[Run]) -> float:
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
