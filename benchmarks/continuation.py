"""Which continues a real curve best: its last value, the laws, or its damped recent trend?

usage: python benchmarks/continuation.py CURVES.jsonl.gz

Every line of the file is one run: {"state": {"num_train_epochs"?, "max_steps"?, "log_history"}}.
Each curve is cut at 40 % and 60 % of its evaluations; the target is its last eval loss. Printed
are the median and the mean (capped at 1) of |predicted / true - 1|, over all curves with at least
eight evaluations.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ftadvise.fitting import Fit, fit
from ftadvise.forecasting import forecast_from
from ftadvise.readers import read
from ftadvise.run import Run
from ftadvise.thinning import observed_points
from ftadvise.trend import recent_trend


def curves(path: str) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Yield every state with the places of its evaluations in the history."""
    with gzip.open(path, "rt") as file:
        for line in file:
            state = json.loads(line)["state"]
            rows = [i for i, row in enumerate(state["log_history"]) if "eval_loss" in row]
            losses = [state["log_history"][i]["eval_loss"] for i in rows]
            if len(rows) >= 8 and min(losses) > 0:
                yield state, rows


def prefix(state: dict[str, Any], rows: list[int], count: int) -> Run:
    """Return the run as its log stood after `count` evaluations."""
    seen = state["log_history"][: rows[count - 1] + 1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trainer_state.json"
        path.write_text(json.dumps({**state, "log_history": seen}), encoding="utf-8")
        return read(path)


def by_law(fitted: Fit, at: float) -> float:
    """Continue with the laws alone, carried on from the last value."""
    now, then = np.median(fitted.curves(np.array([fitted.points.epoch[-1], at])), axis=0)
    return float(fitted.points.loss[-1] * then / now)


def by_trend(run: Run, at: float) -> float:
    """Continue with the damped recent trend alone."""
    trend = recent_trend(observed_points(run, "eval"), "eval")
    return float(np.exp(np.median(trend.paths(np.array([at]), 400))))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("curves")
    path = parser.parse_args().curves
    for cut in (0.4, 0.6):
        errors: dict[str, list[float]] = {}
        for state, rows in curves(path):
            last = state["log_history"][rows[-1]]
            run = prefix(state, rows, max(3, round(cut * len(rows))))
            fitted = fit(run)
            at = float(last["epoch"])
            if at <= fitted.points.epoch[-1]:
                continue  # the log has no usable epochs
            guesses = {
                "last value": float(fitted.points.loss[-1]),
                "laws": by_law(fitted, at),
                "trend": by_trend(run, at),
                "ftadvise": forecast_from(fitted, at).median,
            }
            for name, guess in guesses.items():
                error = min(1.0, abs(guess / last["eval_loss"] - 1.0))
                errors.setdefault(name, []).append(error)
        for name, found in errors.items():
            print(
                f"{cut:.0%}  {name:11s} n={len(found)}  median {100 * np.median(found):6.2f} %"
                f"  mean {100 * np.mean(found):6.2f} %"
            )


if __name__ == "__main__":
    main()
