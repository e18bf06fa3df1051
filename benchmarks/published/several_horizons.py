"""Does a law that was chosen on pre-training explain fine-tunes of several lengths?

usage: python benchmarks/published/several_horizons.py FAMILIES.jsonl.gz [...]

Every line of a file is one run: {"family", "num_train_epochs", "log_history"} and, where the rate
was held and then decayed, "wsd": [epochs held, epochs of decay]. The runs of a family differ in
their schedule alone. For every family L = L0 + A (T + s0)^-α - C F + P T, with progress T and
felt fall F of `effective.py`, is fitted to all its runs together by non-negative least
squares in relative units. Printed is the mean over the families of the relative root mean square
error, for powers p and memories (in epochs at the peak rate).
"""

from __future__ import annotations

import argparse
import collections
import gzip
import itertools
import json

import numpy as np
from effective import POWER, EffectiveSchedule, effective_schedule
from scipy.optimize import nnls

from ftadvise.run import FloatArray
from ftadvise.schedules import Schedule

POWERS = tuple(sorted({0.5, 0.6, POWER, 0.8, 0.9, 1.0}))
MEMORIES = (0.0, 0.01, 0.03, 0.1, 0.3)
EXPONENTS, OFFSETS = (0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 3.5), (0.03, 0.1, 0.3, 1.0)
WARMUP = 0.05  # of the run; of what is held, where the rate is held

Points = tuple[FloatArray, FloatArray, FloatArray, FloatArray]  # epochs, losses; times, rates


def rates(kind: str, epochs: float, hold: list[float] | None) -> tuple[FloatArray, FloatArray]:
    """Return times in epochs and the rate over its peak there."""
    if hold is None:
        fraction = np.linspace(0.0, 1.0, 401)
        return epochs * fraction, Schedule(kind, WARMUP).rate(fraction)
    times = np.linspace(0.0, sum(hold), 401)
    rate = np.minimum(times / (WARMUP * max(hold[0], 0.5)), (sum(hold) - times) / hold[1])
    return times, np.clip(rate, 0.0, 1.0)


def families(path: str) -> dict[str, list[Points]]:
    """Return the eval curves and schedules of the runs of every family."""
    found: dict[str, list[Points]] = collections.defaultdict(list)
    with gzip.open(path, "rt") as file:
        for line in file:
            run = json.loads(line)
            kind = run["family"][3]
            if kind == "constant":
                continue
            rows = [r for r in run["log_history"] if "eval_loss" in r and r["epoch"] > 0]
            epoch, loss = np.array([(r["epoch"], r["eval_loss"]) for r in rows]).T
            same = [part for part in run["family"] if "wsd" not in run or part != kind]
            made = rates(kind, float(run["num_train_epochs"]), run.get("wsd"))
            found["/".join(map(str, same))].append((epoch, loss, *made))
    return {name: runs for name, runs in found.items() if len(runs) > 2}


def misfit(runs: list[Points], power: float, memory: float) -> float:
    """Return the relative error of the best fit of one family."""
    made: list[EffectiveSchedule] = [effective_schedule(r[2], r[3], power) for r in runs]
    progress = np.concatenate([m.progress_at(r[0]) for m, r in zip(made, runs, strict=True)])
    felt = np.concatenate([m.fall_at(r[0], memory) for m, r in zip(made, runs, strict=True)])
    loss = np.concatenate([r[1] for r in runs])
    least = np.inf
    for alpha, offset in itertools.product(EXPONENTS, OFFSETS):
        falling = (progress + offset) ** -alpha
        columns = np.stack([np.ones_like(loss), falling, -felt, progress], axis=1)
        least = min(least, float(nnls(columns / loss[:, None], np.ones_like(loss))[1]))
    return least / float(np.sqrt(loss.size))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("families", nargs="+")
    for path in parser.parse_args().families:
        found = families(path)
        print(f"{path}: {len(found)} families, {sum(map(len, found.values()))} runs; error in %")
        print("memory    " + "".join(f"{f'p={p}':>8}" for p in POWERS))
        for memory in MEMORIES:
            cells = [np.mean([misfit(r, p, memory) for r in found.values()]) for p in POWERS]
            print(f"{memory:<10}" + "".join(f"{100 * cell:8.3f}" for cell in cells))


if __name__ == "__main__":
    main()
