"""The epochs that ftadvise advises, on data sets that its constants were not learned from.

usage: python benchmarks/horizon_left_out.py FAMILIES.jsonl.gz [--also FAMILIES.jsonl.gz...]

For every data set of the file in turn the constants of `ftadvise.optimum` are learned from all
others (those of the files named with --also included), and `ftadvise.advise` is asked about each
log of that data set. Printed is the regret against the best length that was measured, with a
bootstrap interval over families, beside other ways to choose.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any
from unittest import mock

import numpy as np
from families import constant_runs, load
from horizon_model import Row, learn, rows
from learn_horizon import report, rules

import ftadvise
from ftadvise import optimum as optimum_room
from ftadvise.horizon import choose_epochs


def main() -> None:
    """Score the whole advice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--also", nargs="*", default=[])
    options = parser.parse_args()
    table = [row for row in rows(constant_runs(load(options.file), options.file)) if row.seen > 2]
    others = [row for path in options.also for row in rows(constant_runs(load(path), path))]
    whole = [row for row in rows(load(options.file)) if not row.held]
    kept: list[Row] = []
    answers: dict[str, list[float]] = {"ftadvise": [], "laws and habit, nothing learned": []}
    progress: list[float] = []
    for name in sorted({row.family.dataset for row in table}):
        known = [row for row in whole + others if row.family.dataset != name]
        learned = constants(known)
        test = [row for row in table if row.family.dataset == name and not row.held]
        with mock.patch.object(optimum_room, "load", lambda _, found=learned: found):
            answers["ftadvise"] += [advised(row) for row in test]
        with mock.patch("ftadvise.fitting.optimum", return_value=None):
            answers["laws and habit, nothing learned"] += [advised(row) for row in test]
        progress += [_same_progress(row) for row in test]
        kept += test
    print("regret in % of the best loss that any length reaches, mean (90 % bootstrap interval)")
    rules(kept)
    report("equal progress S1 at the best", kept, np.array(progress))
    for name, epochs in answers.items():
        report(name, kept, np.array(epochs))


def constants(known: list[Row]) -> dict[str, Any]:
    """Return the constants as they would be shipped."""
    model = {**learn([row for row in known if not row.held]), "spread": 0.25}
    return json.loads(json.dumps({"annealed": model, "held": model}))  # type: ignore[no-any-return]


def advised(row: Row) -> float:
    """Return the number of epochs that the whole advice names for this log."""
    run = row.family.runs[row.seen]
    best = float(run.eval.epoch[run.eval.loss.argmin()])
    return float(choose_epochs(ftadvise.fit(run), best).chosen)


def _same_progress(row: Row) -> float:
    """Return the length of a run that ends with the progress that this one was best at.

    Progress S1 is the integral of the rate; a schedule that falls to zero along a line or a cosine
    has half of what a constant rate has.
    """
    run = row.family.runs[row.seen]
    best = float(run.eval.epoch[run.eval.loss.argmin()]) / row.seen
    if row.family.name[3] == "cosine":
        done = 0.5 * (best + math.sin(math.pi * best) / math.pi)
    else:
        done = best - best * best / 2.0
    return max(1.0, 2.0 * done * row.seen)


if __name__ == "__main__":
    main()
