"""Loss laws of a whole schedule, published ones and candidates, in one parametrisation.

    L(t) = L0 + A (T(t) + h)^-α - B Σ_k (r_{k-1}^p - r_k^p) G(x_k(t)),    T = ∫ r^p,

in thousands of steps at the peak rate. Laws differ in the power p, in the clock of the distance x
since a change k, and in the response G; h is how far a training run is ahead of the others of its
kind, and 0 where a curve is predicted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from curves import WARMUP, Curve
from scipy.optimize import least_squares

from ftadvise.run import FloatArray

NODES = 200
HUBER = 1e-3  # of the log loss, as in arXiv:2503.12811
EVIDENCE = 10.0  # independent points at the Huber bound that a prior of one deviation is worth

BASE = ("L0", "A", "alpha", "B")
BOUNDS = {
    "L0": (0.0, 10.0),
    "A": (1e-6, 100.0),
    "alpha": (0.02, 3.0),
    "B": (0.0, 100.0),
    "p": (0.3, 1.3),
    "log_c": (-8.0, 9.0),  # C, one over the memory in thousands of steps
    "log_beta": (-4.0, 3.0),
    "gamma": (0.0, 1.5),
    "ahead": (-0.5, 0.5),
}
START = {
    "L0": 0.0,
    "A": 1.0,
    "alpha": 0.5,
    "B": 0.1,
    "p": 0.8,
    "log_c": 1.0,
    "log_beta": -0.3,
    "gamma": 0.5,
    "ahead": 0.01,
}
# λ = 0.999 of arXiv:2408.11029 is a memory of 1,000 steps; wide enough for one of ten steps.
MEMORY_PRIOR = {"log_c": (0.0, 2.5)}
# The two cosines begin with almost the same rate and differ all the same; 30 steps is what that is.
AHEAD_PRIOR = {"ahead": (0.0, 0.03)}

Values = dict[str, float]


@dataclass(frozen=True)
class Candidate:
    """A law and how it is fitted.

    Attributes:
        name: For the table.
        free: Its free parameters.
        response: `"none"`, `"at once"`, `"exponential"` or `"power"` (1 - (1 + C x)^-β).
        clock: What x is measured in: `"progress"` T, `"steps"`, or `"rate"`, the multi-power
            law's η_k^-γ times the rates summed since the change.
        fixed: Values of the parameters that are not free.
        priors: Mean and deviation of parameters with a normal prior.
    """

    name: str
    free: tuple[str, ...]
    response: str = "power"
    clock: str = "progress"
    fixed: Values = field(default_factory=dict[str, float])
    priors: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])

    def values(self, point: FloatArray) -> Values:
        """Return all parameters by name."""
        always = {"p": 1.0, "log_c": 0.0, "log_beta": 0.0, "gamma": 0.0, "ahead": 0.0}
        return always | self.fixed | dict(zip(self.free, point.tolist(), strict=True))

    def predict(self, values: Values, curve: Curve, ahead: float = 0.0) -> FloatArray:
        """Return the loss at the points of a curve, shape (n,)."""
        level: FloatArray = curve.rate ** values["p"]
        progress = np.cumsum(level) / 1000.0
        at = curve.step.astype(int)
        base: FloatArray = values["A"] * (progress[at] + ahead) ** -values["alpha"]
        return values["L0"] + base - values["B"] * self._felt(values, curve, progress, level)

    def _felt(
        self, values: Values, curve: Curve, progress: FloatArray, level: FloatArray
    ) -> FloatArray:
        at = curve.step.astype(int)
        if self.response == "none":
            return np.zeros(at.size)
        if self.response == "at once":
            fallen: FloatArray = 1.0 - level[at]
            return fallen
        changed = np.flatnonzero(np.diff(curve.rate[WARMUP:])) + WARMUP + 1
        if not changed.size:
            return np.zeros(at.size)
        groups = np.array_split(changed, min(NODES, changed.size))
        first, last = np.array([(group[0], group[-1]) for group in groups]).T
        middle = (first + last) // 2
        clock = progress
        if self.clock == "steps":
            clock = np.arange(level.size) / 1000.0
        since = np.maximum(clock[at][:, None] - clock[middle - 1][None], 0.0)
        if self.clock == "rate":
            since = since * curve.rate[middle][None] ** -values["gamma"]
        x = np.exp(values["log_c"]) * since
        response = np.exp(-x) if self.response == "exponential" else _power(x, values)
        begun = at[:, None] >= middle[None]
        felt: FloatArray = np.where(begun, 1.0 - response, 0.0) @ (level[first - 1] - level[last])
        return felt


def _power(x: FloatArray, values: Values) -> FloatArray:
    return (1.0 + x) ** -float(np.exp(values["log_beta"]))


def fit(
    law: Candidate, curves: list[Curve], starts: list[Values] | None = None
) -> tuple[Values, float]:
    """Fit a law to two curves by the Huber loss of the log loss; return its values and the cost."""
    lowest = min(float(curve.loss.min()) for curve in curves)
    low, high = np.array([BOUNDS[name] for name in law.free]).T

    def residuals(point: FloatArray) -> FloatArray:
        values = law.values(point)
        off = [
            np.log(np.maximum(law.predict(values, curve, ahead), 1e-3) / curve.loss)
            for curve, ahead in zip(curves, (values["ahead"], -values["ahead"]), strict=True)
        ]
        pulls = [(values[n] - mean) / sd for n, (mean, sd) in law.priors.items() if n in law.free]
        return np.concatenate(
            [_root_huber(np.concatenate(off)), HUBER * np.sqrt(EVIDENCE) * np.array(pulls)]
        )

    best: tuple[Values, float] | None = None
    for start in starts or [{}, {"log_c": 2.5}, {"log_c": -1.0, "log_beta": 0.5}]:
        guess = START | {"L0": lowest - 0.2} | start
        begin = np.clip([guess[name] for name in law.free], low + 1e-9, high - 1e-9)
        found = least_squares(
            residuals,
            begin,
            bounds=(low, high),
            x_scale=np.maximum(np.abs(begin), 0.1),
            max_nfev=150,
        )
        if best is None or found.cost < best[1]:
            best = law.values(found.x), float(found.cost)
    assert best is not None
    return best


def _root_huber(off: FloatArray) -> FloatArray:
    """Return what squares to twice the Huber loss, so that least squares minimise that."""
    size = np.abs(off)
    return np.where(
        size <= HUBER, off, np.sign(off) * np.sqrt(np.maximum(HUBER * (2.0 * size - HUBER), 0.0))
    )
