"""Learning-rate schedules: progress (S1) and annealing (S2) at any point of any horizon.

A schedule is described by its shape over the fraction of the run that is done, so that it can be
stretched to another number of epochs: a run of seven epochs with linear decay is not the first
part of a run of ten.

With the rate relative to its peak, r = η/η_peak, progress is the integral of the effective rate
r^p, in epochs at the peak rate: ``S1(t) = ∫ r(u)^p du``. Annealing is how far the effective rate
has come down, ``1 - r(t)^p`` after the peak: the limit of the momentum term S2 of Tissue et al.
2024 (arXiv:2408.11029, eq. 1), and of the multi-power law of Luo et al. 2025 (arXiv:2503.12811),
for a memory that is short against an epoch. p = 1 is these laws' own choice; with Adam a smaller
rate loses less progress than it is smaller. POWER is where laws fitted to parts of cosine curves of
pre-training predict the rest best (`python benchmarks/published/multi_power.py FOLDER`); fine-tunes
of several lengths, which had no part in that, are explained best by about the same
(`python benchmarks/published/several_horizons.py FAMILIES.jsonl.gz`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise.run import FloatArray, LearningRates, Run

KINDS = ("linear", "cosine", "constant", "wsd")
WARMUP_GRID = (0.0, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3)
DECAY_GRID = (0.1, 0.2, 0.3, 0.5)  # share of the run that a warm-up-stable-decay schedule decays
POWER = 0.7
MISFIT, TIE = 0.04, 1e-4  # root mean square error, over the highest rate
AT_PEAK = 0.995  # of the highest rate
_FINENESS = 400


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule over the fraction of the run that is done.

    Attributes:
        kind: `"linear"`, `"cosine"` (both to zero), `"constant"` or `"wsd"`.
        warmup: Share of the run that warms up linearly from zero.
        decay: Share of the run that decays at its end; used by `"wsd"` alone.
        known: Whether the log shows this schedule; False when it had to be assumed.
    """

    kind: str = "constant"
    warmup: float = 0.0
    decay: float = 0.2
    known: bool = False

    @property
    def anneals(self) -> bool:
        """Whether the rate comes down before the run ends."""
        return self.kind != "constant"

    def rate(self, fraction: FloatArray) -> FloatArray:
        """Return the rate relative to its peak at these fractions of the run, shape (n,)."""
        done = np.clip(fraction, 0.0, 1.0)
        after = np.clip((done - self.warmup) / max(1e-9, 1.0 - self.warmup), 0.0, 1.0)
        if self.kind == "linear":
            rate = 1.0 - after
        elif self.kind == "cosine":
            rate = 0.5 * (1.0 + np.cos(np.pi * after))
        elif self.kind == "wsd":
            rate = np.clip((1.0 - done) / self.decay, 0.0, 1.0)
        else:
            rate = np.ones_like(done)
        warming = done < self.warmup
        return np.where(warming, done / max(self.warmup, 1e-9), rate)

    def progress(self, epochs: FloatArray, horizon: float) -> FloatArray:
        """Return S1, in epochs at the peak rate, of a run of `horizon` epochs, shape (n,).

        Beyond the horizon nothing is added where the rate has come down to zero.
        """
        grid, rate = self._sampled()
        effective = rate**POWER
        steps = (effective[1:] + effective[:-1]) / 2.0 / _FINENESS
        integral = np.concatenate([[0.0], np.cumsum(steps)])
        inside: FloatArray = horizon * np.interp(epochs / horizon, grid, integral)
        beyond: FloatArray = np.maximum(epochs - horizon, 0.0)
        return inside + float(effective[-1]) * beyond

    def annealing(self, epochs: FloatArray, horizon: float) -> FloatArray:
        """Return how far the rate has come down, from 0 (peak) to 1 (zero), shape (n,)."""
        grid, rate = self._sampled()
        peak = int(np.argmax(rate))
        drop = np.where(np.arange(rate.size) > peak, 1.0 - rate**POWER, 0.0)
        return np.interp(epochs / horizon, grid, drop)

    def _sampled(self) -> tuple[FloatArray, FloatArray]:
        grid = np.linspace(0.0, 1.0, _FINENESS + 1)
        return grid, self.rate(grid)


def identify(run: Run, horizon: float) -> Schedule:
    """Return the schedule that the log's learning rates show, or an assumed one.

    Compares the logged rates with every kind on a grid of warm-ups by least squares, in units of
    the highest rate, and then with a hold and a decay between the first and the last rate at the
    peak. When nothing fits to within 4 % of the peak, or no rates are logged, the schedule that
    the log names is taken, else a constant rate is assumed (`known` is False).

    Args:
        run: The run.
        horizon: Epochs that the schedule was made for.
    """
    rates = run.lr
    fraction = _fractions(rates, run, horizon)
    usable = np.isfinite(fraction) & np.isfinite(rates.rate) & (rates.rate >= 0)
    if usable.sum() >= 3 and rates.rate[usable].max() > 0:
        fraction, rate = fraction[usable], rates.rate[usable]
        candidates = _candidates()
        errors = np.array([_misfit(one, fraction, rate) for one in candidates])
        if errors.min() < MISFIT:
            # Of those that fit alike the first, which is the simplest.
            return candidates[int(np.flatnonzero(errors <= errors.min() + TIE)[0])]
        held = _held_then_decayed(fraction, rate)
        if _misfit(held, fraction, rate) < MISFIT:
            return held
    return Schedule(_named(run.settings.lr_scheduler_type), warmup=0.0, known=False)


def _fractions(rates: LearningRates, run: Run, horizon: float) -> FloatArray:
    if np.isfinite(rates.epoch).any():
        return rates.epoch / horizon
    per_epoch = run.steps_per_epoch
    total = run.planned_steps or (per_epoch * horizon if per_epoch else None)
    if total is None:
        total = float(np.nanmax(rates.step)) if np.isfinite(rates.step).any() else np.nan
    return rates.step / total


def _candidates() -> list[Schedule]:
    plain = [
        Schedule(k, w, known=True) for k in ("constant", "linear", "cosine") for w in WARMUP_GRID
    ]
    return plain + [Schedule("wsd", w, d, known=True) for w in WARMUP_GRID[:5] for d in DECAY_GRID]


def _held_then_decayed(fraction: FloatArray, rate: FloatArray) -> Schedule:
    """Return the hold up to the last rate at the peak, with the decay that follows it.

    The warm-up is the line from zero through the first rate.
    """
    peak = float(rate.max())
    at_peak = fraction[rate >= AT_PEAK * peak]
    through = float(fraction[0]) * peak / max(float(rate[0]), 1e-12 * peak)
    warmup = min(through, float(at_peak.min())) if rate[0] < AT_PEAK * peak else 0.0
    return Schedule("wsd", warmup, max(1.0 - float(at_peak.max()), 1e-3), known=True)


def _misfit(schedule: Schedule, fraction: FloatArray, rate: FloatArray) -> float:
    """Return the root mean square error over the peak, with the best peak for this shape."""
    shape = schedule.rate(fraction)
    norm = float(shape @ shape)
    if norm == 0.0:
        return np.inf
    peak = float(shape @ rate) / norm
    return float(np.sqrt(np.mean((rate - peak * shape) ** 2)) / max(rate.max(), 1e-300))


def _named(name: str | None) -> str:
    text = (name or "").lower()
    if "cosine" in text:
        return "cosine"
    if "stable" in text or "wsd" in text:
        return "wsd"
    return "linear" if text.startswith("linear") else "constant"
