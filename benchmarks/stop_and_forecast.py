"""How good are the live stop and the forecast, beside trivial rules and published methods?

usage: python benchmarks/stop_and_forecast.py CURVES.jsonl.gz [--sample N]

Stop: every curve is replayed; `spent` is the share of its evaluations done when the rule stops,
`regret` how far the best loss by then lies above the best of the whole run (at most 1), and `share`
that regret over what early stopping by patience loses where it spends as much (nan where that is
next to nothing). Forecast: the last
eval loss after 40 % and 60 % of the evaluations; errors are |predicted / true - 1|, at most 1.
Intervals are bootstrap 90 % intervals over origins (owners; in a collection, data sets). The
parametric average is slow: its stop is replayed on N curves, and ftadvise on the same ones.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

import numpy as np
from published_rules import (
    generalization_loss_stop,
    parametric_forecast,
    parametric_stop,
    successive_rises_stop,
)
from real_curves import Curve, load, resamples, weighted_quantile
from stop_table import Frontier, frontier, patience_stops, spent_and_regret

from ftadvise.fitting import fit
from ftadvise.forecasting import forecast_from
from ftadvise.live import should_stop
from ftadvise.run import FloatArray

TIMES = 300
Rule = Callable[[Curve], int]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("curves")
    parser.add_argument("--sample", type=int, default=100)
    options = parser.parse_args()
    curves = load(options.curves)
    print(f"{len(curves)} curves of {len({c.owner for c in curves})} owners\n")
    print("stop: spent, regret in %, share of patience's frontier with 90 % interval")
    every = stop_rules()
    for name, part in parts(curves).items():
        print_stops(f"{name}, {len(part)} curves", part, every)
    places = np.unique(np.linspace(0, len(curves) - 1, options.sample).astype(int))
    some = [curves[place] for place in places]
    slow: dict[str, Rule] = {"ftadvise": every["ftadvise"], "parametric average": _parametric}
    print_stops(f"a sample of {len(some)} curves", some, slow)
    print("\nforecast: median error in % and over the last value's with 90 % interval, mean; held")
    for cut in (0.4, 0.6):
        errors, inside = forecast_errors(curves, cut)
        for name, chosen in parts(curves).items():
            mask = np.array([curve in set(chosen) for curve in curves])
            title = f"after {cut:.0%}, {name}, {int(mask.sum())} curves"
            print_forecasts(title, [c.group for c in chosen], errors, inside, mask)


def parts(curves: list[Curve]) -> dict[str, list[Curve]]:
    """Return the curves by kind."""
    return {
        "all": curves,
        "overfitting": [curve for curve in curves if curve.overfits],
        "kind runs": [curve for curve in curves if curve.kind == "runs"],
        "language models": [curve for curve in curves if curve.language_model],
        "others": [c for c in curves if c.kind != "runs" and not c.language_model],
    }


def stop_rules() -> dict[str, Rule]:
    """Return the rules; ftadvise's answers are remembered, since the parts share curves."""
    rules: dict[str, Rule] = {
        f"patience {p}": functools.partial(_patience, p) for p in (1, 3, 5, 7, 10)
    }
    for alpha in (1.0, 2.0, 5.0):
        rules[f"GL_{alpha:g}"] = functools.partial(_loss_above, alpha)
    for strips in (2, 3, 4):
        rules[f"UP_{strips}"] = functools.partial(_rises, strips)
    rules["ftadvise"] = functools.cache(_live)
    return rules


def _patience(patience: int, curve: Curve) -> int:
    return patience_stops(curve.losses, patience)


def _loss_above(alpha: float, curve: Curve) -> int:
    return generalization_loss_stop(curve.losses, alpha)


def _rises(strips: int, curve: Curve) -> int:
    return successive_rises_stop(curve.losses, strips)


def _live(curve: Curve) -> int:
    size = curve.losses.size
    return next((n for n in range(2, size) if should_stop(curve.first(n)).stop), size)


def _parametric(curve: Curve) -> int:
    return parametric_stop(_axis(curve), curve.losses, curve.run.planned_epochs)


def _axis(curve: Curve) -> FloatArray:
    """Return rising epochs, or positions where the log has none that rise."""
    epochs = curve.run.eval.epoch
    usable = bool(np.isfinite(epochs).all() and epochs[0] > 0 and (np.diff(epochs) > 0).all())
    return epochs if usable else np.arange(1.0, curve.losses.size + 1.0)


def print_stops(title: str, curves: list[Curve], rules: dict[str, Rule]) -> None:
    """Print what every rule spends and loses on these curves."""
    print(f"  {title}")
    patience = frontier(curves)
    bags = resamples([curve.group for curve in curves], TIMES)
    for name, rule in rules.items():
        stops = np.array([rule(curve) for curve in curves])
        spent, regret = spent_and_regret(curves, stops)
        share, low, high = _share(patience, spent, regret, bags)
        print(
            f"    {name:20s} {spent.mean():.2f} {100 * regret.mean():6.2f} %"
            f"  {share:5.2f} ({low:.2f} to {high:.2f})"
        )


def _share(
    patience: Frontier, spent: FloatArray, regret: FloatArray, bags: FloatArray
) -> tuple[float, float, float]:
    drawn = [patience.share(spent, regret, bag) for bag in bags]
    low, high = np.nanquantile(drawn, [0.05, 0.95])
    return patience.share(spent, regret, np.ones(spent.size)), float(low), float(high)


def forecast_errors(curves: list[Curve], cut: float) -> tuple[dict[str, FloatArray], FloatArray]:
    """Return the errors of every method, and whether ftadvise's interval holds the truth."""
    errors: dict[str, list[float]] = {}
    inside: list[float] = []
    for curve in curves:
        size = curve.losses.size
        count, truth = max(3, round(cut * size)), float(curve.losses[-1])
        found = forecast_from(fit(curve.first(count)), curve.end)
        inside.append(float(found.low <= truth <= found.high))
        seen, axis = curve.losses[:count], _axis(curve)
        guesses = {
            "last value": float(seen[-1]),
            "best value": float(seen.min()),
            "parametric average": parametric_forecast(axis[:count], seen, float(axis[-1])),
            "ftadvise": found.median,
        }
        for name, guess in guesses.items():
            errors.setdefault(name, []).append(min(1.0, abs(guess / truth - 1.0)))
    return {name: np.array(found) for name, found in errors.items()}, np.array(inside)


def print_forecasts(
    title: str,
    groups: list[str],
    errors: dict[str, FloatArray],
    inside: FloatArray,
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> None:
    """Print the errors of every method on the curves where `mask` is true."""
    print(f"  {title}: interval holds {inside[mask].mean():.3f}")
    bags = resamples(groups, TIMES)
    last = errors["last value"][mask]
    for name, found in errors.items():
        mine = found[mask]
        ratios = [
            weighted_quantile(mine, bag, 0.5) / max(weighted_quantile(last, bag, 0.5), 1e-9)
            for bag in bags
        ]
        low, high = np.quantile(ratios, [0.05, 0.95])
        middle = float(np.median(mine))
        print(
            f"    {name:20s} {100 * middle:6.2f} %  {middle / float(np.median(last)):.2f}"
            f" ({low:.2f} to {high:.2f})  mean {100 * mine.mean():6.2f} %"
        )


if __name__ == "__main__":
    main()
