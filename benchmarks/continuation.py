"""Which continues a real curve best: its last value, the laws, or its damped recent trend?

usage: python benchmarks/continuation.py CURVES.jsonl.gz

Every line of the file is one run: {"id", "kind", "causal_lm", "repo", "state": {"num_train_epochs"?,
"max_steps"?, "log_history"}}. Each curve is cut at 40 % and 60 % of its evaluations; the target is
its last eval loss. Printed are the median and the mean (capped at 1) of |predicted / true - 1|,
over all curves with at least eight evaluations.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from real_curves import load

from ftadvise.fitting import Fit, fit
from ftadvise.forecasting import forecast_from
from ftadvise.trend import recent_trend


def by_law(fitted: Fit, at: float) -> float:
    """Continue with the laws alone, carried on from the last value."""
    now, then = np.median(fitted.curves(np.array([fitted.points.epoch[-1], at])), axis=0)
    return float(fitted.points.loss[-1] * then / now)


def by_trend(fitted: Fit, at: float) -> float:
    """Continue with the damped recent trend alone."""
    trend = recent_trend(fitted.points, "eval")
    return math.exp(trend.log_level + trend.drift * trend.ahead(at))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("curves")
    curves = load(parser.parse_args().curves)
    for cut in (0.4, 0.6):
        errors: dict[str, list[float]] = {}
        for curve in curves:
            fitted = fit(curve.first(max(3, round(cut * curve.losses.size))))
            at = curve.end
            if at <= fitted.points.epoch[-1]:
                continue  # the log has no usable epochs
            guesses = {
                "last value": float(fitted.points.loss[-1]),
                "laws": by_law(fitted, at),
                "trend": by_trend(fitted, at),
                "ftadvise": forecast_from(fitted, at).median,
            }
            for name, guess in guesses.items():
                error = min(1.0, abs(guess / float(curve.losses[-1]) - 1.0))
                errors.setdefault(name, []).append(error)
        for name, found in errors.items():
            print(
                f"{cut:.0%}  {name:11s} n={len(found)}  median {100 * np.median(found):6.2f} %"
                f"  mean {100 * np.mean(found):6.2f} %"
            )


if __name__ == "__main__":
    main()
