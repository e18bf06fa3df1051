"""Progress and annealing in the effective rate η^p: one clock for both, for any schedule.

With the rate relative to its peak, r = η/η_peak, the level of a schedule is r^p and its effective
progress is

    T(t) = ∫ r(u)^p du

and the fall of the rate that the loss has felt by then is

    F(t) = Σ_k (r_{k-1}^p - r_k^p) · G((T(t) - T_k) / m),    G(x) = x / (1 + x),

where k runs over the changes after the peak and m is the memory, in units of T. The loss is then
L0 + A (T + T0)^-α - C F, plus whatever grows with the passes over the data.

Sources: the sum over the falls of the rate, each with a response of its own that saturates as a
power of the progress since then, is the multi-power law of Luo et al. 2025 (arXiv:2503.12811,
eq. 4) with G(x) = 1 - (1 + x)^-β at β = 1; a convolution of this kind also follows for stochastic
gradient descent on a power-law spectrum (Li et al. 2025, arXiv:2509.19189). m → 0 is the fall of
the rate itself; a response 1 - exp(-x) in steps would be the momentum of Tissue et al. 2024
(arXiv:2408.11029). New here is that a rate r does the work of r^p: with Adam a smaller rate loses
less progress than it is smaller. p = 1 is those laws' own choice. p = 1/2 is the limit where
weight norms are in equilibrium with weight decay (Kosson et al. 2023, arXiv:2305.17212: the
angle of an update is proportional to √(η λ)), p = 1 the one where they do not move.

POWER is where laws fitted to parts of two cosine curves of pre-training, at each of two sizes,
predict the rest of these curves best (`python benchmarks/published/multi_power.py FOLDER`).
Fine-tunes of several lengths, which had no part in that, are explained best by about the same
(`python benchmarks/published/several_horizons.py FAMILIES.jsonl.gz`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ftadvise.run import FloatArray

IntArray = np.ndarray[tuple[int], np.dtype[np.intp]]

POWER = 0.7
NODES = 300  # a schedule is thinned to about this many points


@dataclass(frozen=True, eq=False)
class EffectiveSchedule:
    """A schedule in its effective rate; arrays of shape (m,), rising in time.

    Attributes:
        time: Steps or epochs, not falling; the same time twice is a jump of the rate.
        progress: T at these times, in units of time at the peak rate.
        level: r^p at these times, 1 at the peak.
    """

    time: FloatArray
    progress: FloatArray
    level: FloatArray

    def progress_at(self, at: FloatArray) -> FloatArray:
        """Return T at the times `at`, shape (n,)."""
        return np.interp(at, self.time, self.progress)

    def fall_at(self, at: FloatArray, memory: float) -> FloatArray:
        """Return F at the times `at`: the fall of r^p as far as the loss has felt it, shape (n,).

        Between two points the level is taken as linear in T, and its response in closed form.

        Args:
            at: Times, shape (n,).
            memory: m, progress after which half of a fall is felt; 0 feels it at once.
        """
        peak = int(np.argmax(self.level))
        if memory <= 0.0:
            fall = self.level[peak] - np.interp(at, self.time, self.level)
            return np.where(at >= self.time[peak], fall, 0.0)
        falls, width = -np.diff(self.level[peak:]), np.diff(self.progress[peak:])
        since = np.maximum(self.progress_at(at)[:, None] - self.progress[None, peak:], 0.0)
        felt = since - memory * np.log1p(since / memory)  # the integral of G over T
        wide = width > 1e-12 * self.progress[-1]
        gradual = -np.diff(felt, axis=1) / np.where(wide, width, 1.0)
        at_once = since[:, :-1] / (memory + since[:, :-1])
        return np.where(wide, gradual, at_once) @ falls


def effective_schedule(
    time: FloatArray, rate: FloatArray, power: float = POWER, nodes: int = NODES
) -> EffectiveSchedule:
    """Return a schedule in its effective rate, thinned to where the rate changes.

    Takes O(m) for m points; F at n times then takes O(n · nodes).

    Args:
        time: Steps or epochs, not falling, shape (m,).
        rate: Learning rate at these times in any unit, not negative, linear in between, shape (m,).
        power: p, above 0 and at most 1.
        nodes: About how many points to keep.
    """
    relative: FloatArray = np.maximum(rate, 0.0) / max(float(rate.max()), 1e-300)
    level: FloatArray = relative**power
    area = 0.5 * (level[1:] + level[:-1]) * np.diff(time)
    progress: FloatArray = np.concatenate([[0.0], np.cumsum(area)])
    kept = _kept(time, level, nodes)
    return EffectiveSchedule(time[kept], progress[kept], level[kept])


def _kept(time: FloatArray, level: FloatArray, nodes: int) -> IntArray:
    """Return the points to keep, even in time and in how far the level has moved.

    Neighbours are kept in pairs, so that a jump between two points stays one.
    """
    if time.size <= nodes:
        return np.arange(time.size)
    passed: FloatArray = time - time[0]
    moved: FloatArray = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(level)))])
    place = passed / max(float(passed[-1]), 1e-300) + moved / max(float(moved[-1]), 1e-300)
    wanted = np.linspace(0.0, float(place[-1]), nodes // 2)
    after = np.clip(np.searchsorted(place, wanted), 1, time.size - 1)
    ends = [0, int(np.argmax(level)), time.size - 1]
    return np.unique(np.concatenate([after - 1, after, ends]))
