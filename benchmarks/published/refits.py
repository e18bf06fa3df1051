"""The two published laws refitted the way published refits did it, for the rows that compare.

That way is L-BFGS-B with numerical gradients on parameters in the units of the papers (B in the
hundreds, L0 near 3), on every fourth point: it stops well before the optimum. The multi-power law
starts from the values that its repository gives as its best, which were found on `cosine_24000`,
`constant_24000` and `wsdcon_9`, so that the start has seen two of the curves to be predicted. Where it stops depends on the optimiser;
carried to the end, a fit to the cosines leaves those values far behind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from candidates import BASE, HUBER, Candidate, Values
from curves import COSINES, Curve
from scipy.optimize import minimize

from ftadvise.run import FloatArray

PEAK = 3e-4
PER_RATE = PEAK * 1000.0  # sums of rates are in thousands of steps at the peak here
MULTI_POWER = Candidate("", (*BASE, "log_c", "log_beta", "gamma"), "power", "rate")
TISSUE = Candidate("", (*BASE, "log_c"), "exponential", "steps")
# L0 A α B C β γ of the repository thu-yao-01-luo/MultiPowerLaw
PUBLISHED = {
    "25": (3.04045406, 0.52468604, 0.50786857, 363.78751622, 2.06560812, 0.58279013, 0.64142257),
    "100": (2.6514477, 0.60115152, 0.45295811, 437.9464276, 2.13245612, 0.59785199, 0.65523644),
}
COMMON_BOUNDS = [(0.0, 10.0), (1e-8, 100.0), (1e-4, 3.0), (1e-8, 1e5)]
MULTI_POWER_BOUNDS = [*COMMON_BOUNDS, (1e-8, 100.0), (1e-4, 5.0), (1e-4, 5.0)]
TISSUE_BOUNDS = [*COMMON_BOUNDS, (0.9, 0.9999)]


def multi_power_values(point: FloatArray) -> Values:
    """Return our parameters for L0 A α B C β γ."""
    l0, height, alpha, gain, c, beta, gamma = point.tolist()
    shape = [np.log(c * PER_RATE * PEAK**-gamma), np.log(beta), gamma]
    # There the warm-up counts as a rise of the rate, which is B more loss once it is felt.
    base = [l0 + gain * PEAK, height * PER_RATE**-alpha, alpha]
    return MULTI_POWER.values(np.array([*base, gain * PEAK, *shape]))


def tissue_values(point: FloatArray) -> Values:
    """Return our parameters for L0 A α C λ."""
    l0, height, alpha, gain, decay = point.tolist()
    base = [l0, height * PER_RATE**-alpha, alpha]
    return TISSUE.values(
        np.array([*base, gain * PEAK / (1.0 - decay), np.log(-1e3 * np.log(decay))])
    )


def refit_multi_power(size: str, curves: dict[str, Curve]) -> Values:
    """Return the multi-power law's parameters for one size."""
    least = min(float(curves[name].loss.min()) for name in COSINES)
    starts: list[tuple[float, ...]] = [
        PUBLISHED[size],
        (least - 0.05, 0.5, 0.5, 300.0, 2.0, 0.5, 0.5),
    ]
    return _refit(MULTI_POWER, multi_power_values, curves, starts, MULTI_POWER_BOUNDS)


def refit_tissue(curves: dict[str, Curve]) -> Values:
    """Return the parameters of Tissue's law for one size."""
    least = min(float(curves[name].loss.min()) for name in COSINES)
    shapes = ((-0.05, 0.5, 0.5, 100.0), (-0.1, 1.0, 0.4, 10.0), (0.0, 0.2, 0.7, 300.0))
    decays = (0.99, 0.995, 0.997, 0.999)
    starts = [(least + shift, *rest, decay) for decay in decays for shift, *rest in shapes]
    return _refit(TISSUE, tissue_values, curves, starts, TISSUE_BOUNDS)


def _refit(
    law: Candidate,
    to_values: Callable[[FloatArray], Values],
    curves: dict[str, Curve],
    starts: list[tuple[float, ...]],
    bounds: list[tuple[float, float]],
) -> Values:
    known = [curves[name].between(0.0, np.inf, 4) for name in COSINES]

    def objective(point: FloatArray) -> float:
        values = to_values(point)
        loss = [np.maximum(law.predict(values, c), 1e-12) / c.loss for c in known]
        off = np.abs(np.log(np.concatenate(loss)))
        inside = np.minimum(off, HUBER)
        return float((0.5 * inside**2 + HUBER * (off - inside)).sum())

    found = [
        minimize(
            objective,
            np.array(s),
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 400, "ftol": 1e-10},
        )
        for s in starts
    ]
    return to_values(min(found, key=lambda f: float(f.fun)).x)
