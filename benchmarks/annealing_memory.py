"""How long does a fine-tune remember a fall of the learning rate, and how does overfitting grow?

usage: python benchmarks/annealing_memory.py FAMILIES.jsonl.gz

Every line of the file is one run: {"family", "num_train_epochs", "log_history"}; the runs of a
family differ in nothing but their length, each with a schedule of its own. For every family the
law L = L0 + A (S1 + s0)^-α - C S2 + P g(S1) is fitted to all its runs together by non-negative
least squares in relative units, with S2 under several memories and g in several shapes. Printed
is the mean over the families of the relative root mean square error, and for the best choice the
range of C and P over the lowest loss, which `ftadvise.laws` takes its prior from.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import itertools
import json

import numpy as np
from scipy.optimize import nnls

from ftadvise.run import FloatArray
from ftadvise.schedules import Schedule

MEMORIES: tuple[float | str, ...] = ("none", "rate now", 0.1, 0.3, 1.0, 3.0)
GROWTH = {"none": 0.0, "log": 0.0, "linear": 1.0, "power 1.5": 1.5, "square": 2.0}
EXPONENTS, OFFSETS, WARMUP = (0.2, 0.4, 0.7, 1.0, 1.5), (0.03, 0.1, 0.3, 1.0), 0.05

Points = list[tuple[FloatArray, FloatArray, float, str]]


def families(path: str) -> dict[str, Points]:
    """Return, for every family, the eval curves of its runs: epoch, loss, horizon, schedule."""
    found: dict[str, Points] = collections.defaultdict(list)
    with gzip.open(path, "rt") as file:
        for line in file:
            run = json.loads(line)
            rows = [r for r in run["log_history"] if "eval_loss" in r and r["epoch"] > 0]
            if run["family"][3] in ("linear", "cosine"):
                epoch = np.array([r["epoch"] for r in rows])
                loss = np.array([r["eval_loss"] for r in rows])
                name = "/".join(map(str, run["family"]))
                found[name].append((epoch, loss, float(run["num_train_epochs"]), run["family"][3]))
    return found


def annealing(
    schedule: Schedule, epoch: FloatArray, horizon: float, memory: float | str
) -> FloatArray:
    """Return S2 at `epoch`: the fall of the rate, remembered for `memory` epochs."""
    if memory == "none":
        return np.zeros_like(epoch)
    if isinstance(memory, str):
        return schedule.annealing(epoch, horizon)
    grid = np.linspace(0.0, horizon, 2001)
    width = float(grid[1])
    fall = np.maximum(-np.diff(schedule.rate(grid / horizon)), 0.0)
    kept = np.exp(-width / memory)
    momentum = np.zeros_like(grid)
    for i, step in enumerate(fall):
        momentum[i + 1] = kept * momentum[i] + step
    return np.interp(epoch, grid, np.cumsum(momentum) * width)


def misfit(runs: Points, memory: float | str, growth: str) -> tuple[float, FloatArray]:
    """Return the relative error of the best fit of one family, and its coefficients."""
    progress, cooled = [], []
    for epoch, _, horizon, kind in runs:
        schedule = Schedule(kind, WARMUP)
        progress.append(schedule.progress(epoch, horizon))
        cooled.append(annealing(schedule, epoch, horizon, memory))
    s1, s2 = np.concatenate(progress), np.concatenate(cooled)
    loss = np.concatenate([r[1] for r in runs])
    grown = {"none": 0 * s1, "log": np.log1p(s1)}.get(growth, s1 ** GROWTH[growth])
    best = (np.inf, np.zeros(4))
    for alpha, offset in itertools.product(EXPONENTS, OFFSETS):
        columns = np.stack([np.ones_like(s1), (s1 + offset) ** -alpha, -s2, grown], axis=1)
        found, norm = nnls(columns / loss[:, None], np.ones_like(loss))
        if norm < best[0]:
            best = (norm, found / loss.min())
    return best[0] / np.sqrt(loss.size), best[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("families")
    found = families(parser.parse_args().families)
    rows = []
    for memory, growth in itertools.product(MEMORIES, GROWTH):
        fits = [misfit(runs, memory, growth) for runs in found.values()]
        rows.append((float(np.mean([f[0] for f in fits])), memory, growth, fits))
    rows.sort(key=lambda row: row[0])
    for error, memory, growth, _ in rows:
        print(f"{100 * error:6.3f} %  memory {memory!s:9s}  overfitting {growth}")
    coefficients = np.array([f[1] for f in rows[0][3]])
    for name, column in (("C", 2), ("P", 3)):
        low, middle, high = np.quantile(coefficients[:, column], [0.0, 0.5, 1.0])
        print(f"{name} / lowest loss: {low:.3f} to {high:.3f}, median {middle:.3f}")


if __name__ == "__main__":
    main()
