"""Does the live stop wait for a decay of the learning rate that still pays?

usage: python benchmarks/stop_before_decay.py FAMILIES.jsonl.gz

Every line of the file is one run: {"family": [data set, examples, rate, schedule, seed],
"num_train_epochs", "max_steps", "wsd": [epochs held, epochs of decay] or null, "log_history"}.
Printed is, for runs that held their rate and then let it decay, what the decay gained against the
best loss before it, by how far the curve stood above its best when the decay began; and for every
schedule what the live stop spends and loses, with and without what a decay is expected to gain.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from ftadvise import live
from ftadvise.readers import read
from ftadvise.run import LearningRates, Run

LEAST_EVALS = 4
STANDS = (-1.0, 0.0, 0.02, 0.05, 0.1, 1.0)  # log loss above the best when the decay begins


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("families")
    with gzip.open(parser.parse_args().families, "rt") as file:
        rows = [json.loads(line) for line in file]
    print_gains([row for row in rows if row.get("wsd")])
    kinds = sorted({_kind(row) for row in rows})
    for kind in kinds:
        runs = [_run(row) for row in rows if _kind(row) == kind]
        runs = [run for run in runs if len(run.eval) > LEAST_EVALS]
        print_stops(kind, runs, "as shipped", live.ANNEALING_GAIN)
        print_stops(kind, runs, "without the decay's gain", 0.0)


def _kind(row: dict[str, Any]) -> str:
    return "hold, then decay" if row.get("wsd") else str(row["family"][3])


def _run(row: dict[str, Any]) -> Run:
    keys = ("num_train_epochs", "max_steps", "log_history")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trainer_state.json"
        path.write_text(json.dumps({key: row[key] for key in keys}), encoding="utf-8")
        run = read(path)
    name = "warmup_stable_decay" if row.get("wsd") else None
    return replace(run, settings=replace(run.settings, lr_scheduler_type=name))


def print_gains(rows: list[dict[str, Any]]) -> None:
    """Print what the decay gained against the best loss before it."""
    stood: list[float] = []
    gained: list[float] = []
    for row in rows:
        evals = [x for x in row["log_history"] if "eval_loss" in x and x["epoch"] > 0]
        held = [x["eval_loss"] for x in evals if x["epoch"] <= row["wsd"][0] + 1e-6]
        decayed = [x["eval_loss"] for x in evals if x["epoch"] > row["wsd"][0] + 1e-6]
        if held and decayed:
            stood.append(float(np.log(held[-1] / min(held))))
            gained.append(float(np.log(min(held) / min(decayed))))
    above, gain = np.array(stood), np.array(gained)
    for low, high in itertools.pairwise(STANDS):
        mask = (above > low) & (above <= high)
        if mask.any():
            print(
                f"up to {100 * high:3.0f} % above its best  n={int(mask.sum()):3d}"
                f"  median gain of the decay {100 * np.median(gain[mask]):6.2f} %"
            )


def print_stops(kind: str, runs: list[Run], title: str, gain: float) -> None:
    """Print what the live stop spends and loses on these runs."""
    if not runs:
        return
    with mock.patch.object(live, "ANNEALING_GAIN", gain):
        stops = [_stop(run) for run in runs]
    sizes = [len(run.eval) for run in runs]
    spent = np.mean([stop / size for stop, size in zip(stops, sizes, strict=True)])
    regret = [
        run.eval.loss[:stop].min() / run.eval.loss.min() - 1.0
        for run, stop in zip(runs, stops, strict=True)
    ]
    early = np.mean([stop < size for stop, size in zip(stops, sizes, strict=True)])
    print(
        f"{kind:17s} n={len(runs):3d}  {title:25s} spent {spent:.2f}"
        f"  regret {100 * np.mean(regret):.3f} %  stopped early {early:.2f}"
    )


def _stop(run: Run) -> int:
    size = len(run.eval)
    for count in range(LEAST_EVALS, size):
        seen = run.eval.take(slice(0, count))
        kept = run.lr.epoch <= seen.epoch[-1]
        rates = LearningRates(run.lr.key, run.lr.step[kept], run.lr.epoch[kept], run.lr.rate[kept])
        if live.should_stop(replace(run, eval=seen, lr=rates)).stop:
            return count
    return size


if __name__ == "__main__":
    main()
