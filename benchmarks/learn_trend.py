"""Learn the constants of the continuation and of the live stop, and say how well they do.

usage: python benchmarks/learn_trend.py CURVES.jsonl.gz [--write]

All is scored by cross-validation over the origins of the curves: those of one owner (in a
collection, of one data set) are left out together, ten folds. Printed are the errors of every idea
as a share of the last value's, the coverage of the 90 % interval, and the live stop beside
patience's frontier, each cross-validated with a bootstrap 90 % interval over origins, and
in-sample. With --write the constants go to advisor/ftadvise/priors/trend.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from learn_doubt import inside, learn_constants, print_coverage
from learn_stop import (
    Stop,
    held_stops,
    later_gains,
    learn_stop,
    print_calibration,
    stop_scores,
    stops,
)
from real_curves import FOLDS, Curve, folds, load, resamples, weighted_quantile
from stop_table import IntArray, moments
from trend_ideas import CHOSEN, IDEAS, learn
from trend_table import Table, tabulate

from ftadvise.run import FloatArray
from ftadvise.trend import Constants

TARGET = Path(__file__).parent.parent / "advisor" / "ftadvise" / "priors" / "trend.json"
SOURCES = (
    "eval losses of fine-tunes in public repositories: trainer_state.json files, and the results "
    "tables of model cards, notebooks and consoles"
)
SCORED = (0.4, 0.6)


def main() -> None:
    """Learn, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("curves")
    parser.add_argument("--write", action="store_true", help="write priors/trend.json")
    options = parser.parse_args()
    curves = load(options.curves)
    fold = folds([curve.group for curve in curves])
    table, at = tabulate(curves), moments(curves)
    print(_counts(curves))
    forecast = print_ideas(curves, table, fold)
    constants = learn_constants(table)
    fold_of_row = fold[table.curve.astype(int)]
    held = [learn_constants(table.take(fold_of_row != k)) for k in range(FOLDS)]
    covered = np.empty(table.cut.size)
    for k in range(FOLDS):
        covered[fold_of_row == k] = inside(table.take(fold_of_row == k), held[k])
    print_coverage(table, covered, inside(table, constants))
    stop = learn_stop(curves, at, constants)
    held_at, chance = held_stops(curves, at, fold, held)
    print_calibration(later_gains(curves, at), chance)
    left_out = stop_scores(curves, held_at)
    in_sample = stop_scores(curves, stops(curves, at, constants, stop))
    print("\nlive stop: spent, share of the frontier's regret, 90 % interval of that")
    print(f"  left out {left_out}\n  in-sample {in_sample}")
    coverage = {
        f"coverage {cut:.0%}": round(
            float(covered[(table.last > 0) & (table.cut == cut)].mean()), 3
        )
        for cut in SCORED
    }
    scores = {"forecast": forecast, "coverage": coverage, "stop": left_out}
    written = document(constants, stop, _counts(curves), scores)
    print(written)
    if options.write:
        TARGET.write_text(written, encoding="utf-8")


def _counts(curves: list[Curve]) -> str:
    owners, origins = ({getattr(c, key) for c in curves} for key in ("owner", "group"))
    return f"{len(curves)} curves of {len(owners)} owners, {len(origins)} origins"


def print_ideas(curves: list[Curve], table: Table, fold: IntArray) -> dict[str, list[float]]:
    """Print what every idea reaches; return the scores of the chosen one."""
    print("\nmedian and mean error as a share of the last value's; after 40 %, after 60 %")
    rows = table.take(table.last > 0)
    fold_of_row = fold[rows.curve.astype(int)]
    chosen: dict[str, list[float]] = {}
    for name, idea in IDEAS.items():
        full = learn(idea, rows)
        held = np.empty(rows.cut.size)
        for k in range(FOLDS):
            numbers = learn(idea, rows.take(fold_of_row != k), full)
            held[fold_of_row == k] = idea.formula(numbers, rows.take(fold_of_row == k))
        left_out = forecast_scores(curves, rows, held)
        in_sample = forecast_scores(curves, rows, idea.formula(full, rows))
        print(f"  {name:34s} left out {_shown(left_out)}  in-sample {_shown(in_sample, False)}")
        if name == CHOSEN:
            chosen = left_out
    return chosen


def _shown(scores: dict[str, list[float]], interval: bool = True) -> str:
    return " | ".join(
        f"{s[0]:.2f}" + (f" ({s[1]:.2f} to {s[2]:.2f})" if interval else "") + f" mean {s[3]:.2f}"
        for s in scores.values()
    )


def forecast_scores(
    curves: list[Curve], rows: Table, predicted: FloatArray
) -> dict[str, list[float]]:
    """Return median error over the last value's, its bootstrap 90 % interval, and the means'."""
    bags = resamples([curve.group for curve in curves], 200)
    scores: dict[str, list[float]] = {}
    for cut in SCORED:
        mask = rows.cut == cut
        mine = np.minimum(1.0, np.abs(np.expm1(predicted - rows.change)))[mask]
        theirs = np.minimum(1.0, np.abs(np.expm1(-rows.change)))[mask]
        places = rows.curve[mask].astype(int)
        drawn = [_ratio(mine, theirs, bag[places]) for bag in bags]
        low, high = np.quantile(drawn, [0.05, 0.95])
        median = _ratio(mine, theirs, np.ones(mine.size))
        values = (median, float(low), float(high), float(mine.mean() / theirs.mean()))
        scores[f"{cut:.0%}"] = [round(value, 3) for value in values]
    return scores


def _ratio(mine: FloatArray, theirs: FloatArray, weights: FloatArray) -> float:
    return weighted_quantile(mine, weights, 0.5) / weighted_quantile(theirs, weights, 0.5)


def document(constants: Constants, stop: Stop, counts: str, scores: dict[str, Any]) -> str:
    """Return the text of trend.json."""
    numbers = asdict(constants)
    drift = ("rise", "fall", "cap", "cap_power", "law_share")
    table = {
        "provenance": {
            "data": SOURCES,
            "size": counts,
            "command": "python benchmarks/learn_trend.py CURVES.jsonl.gz --write",
            "left_out": scores,
            "left_out_means": (
                "ten folds over origins; forecast: median error as a share of the last value's, "
                "its 90 % interval, mean error likewise, after 40 % and 60 % of the evaluations; "
                "stop: spent, regret as a share of patience's frontier, its 90 % interval"
            ),
        },
        "drift": {key: numbers[key] for key in drift},
        "doubt": {key: value for key, value in numbers.items() if key not in drift},
        "stop": {"drought": stop[0], "chance": stop[1]},
    }
    return json.dumps(table, indent=2) + "\n"


if __name__ == "__main__":
    main()
