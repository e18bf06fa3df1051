"""The epochs that ftadvise advises after a run that was broken off.

usage: python benchmarks/broken_off.py FAMILIES.jsonl.gz [--also FAMILIES.jsonl.gz...]

Runs of 5, 7 and 10 epochs are cut after 40, 60 and 80 %, as if somebody had stopped them, their
schedule still on its way down. For every data set of the file in turn the constants of
`ftadvise.optimum` are learned from the complete runs of all others, and `ftadvise.advise` is asked
about each cut log. Printed is the regret against the best length that was measured.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from unittest import mock

import numpy as np
from families import Family, cut, load
from horizon_left_out import advised, constants
from horizon_model import Row, rows
from learn_horizon import report, rules

from ftadvise import optimum as optimum_room
from ftadvise.run import Run

LENGTHS = (5.0, 7.0, 10.0)
SHARES = (0.4, 0.6, 0.8)


def main() -> None:
    """Score the whole advice on cut logs, with and without what was learned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--also", nargs="*", default=[])
    options = parser.parse_args()
    families = load(options.file)
    known = [r for path in (options.file, *options.also) for r in rows(load(path)) if not r.held]
    kept: dict[float, list[Row]] = {share: [] for share in SHARES}
    learned: dict[float, list[float]] = {share: [] for share in SHARES}
    plain: dict[float, list[float]] = {share: [] for share in SHARES}
    for name in sorted({family.dataset for family in families}):
        found = constants([row for row in known if row.family.dataset != name])
        for share in SHARES:
            test = [row for f in families if f.dataset == name for row in _cut_rows(f, share)]
            with mock.patch.object(optimum_room, "load", lambda _, found=found: found):
                learned[share] += [advised(row) for row in test]
            with mock.patch("ftadvise.fitting.optimum", return_value=None):
                plain[share] += [advised(row) for row in test]
            kept[share] += test
    print("regret in % of the best loss that any length reaches, mean (90 % bootstrap interval)")
    for share in SHARES:
        print(f"\nruns of {LENGTHS} epochs, cut at {share:.0%}")
        rules(kept[share])
        report("laws and habit", kept[share], np.array(plain[share]))
        report("ftadvise", kept[share], np.array(learned[share]))


def _cut_rows(family: Family, share: float) -> list[Row]:
    """Return the rows of this family's runs, each with the log as it was when cut."""
    runs = {e: _broken_off(family.runs[e], share) for e in LENGTHS if e in family.runs}
    asked = replace(family, runs=runs)
    habits = {e: math.ceil(r.eval.epoch[r.eval.loss.argmin()]) + 1 for e, r in runs.items()}
    return [Row(asked, e, {}, math.nan, habit) for e, habit in habits.items()]


def _broken_off(run: Run, share: float) -> Run:
    """Return the log up to this share of the run, with what was planned."""
    length = run.planned_epochs or 0.0
    return replace(cut(run, max(1.5, round(2 * share * length) / 2)), planned_epochs=length)


if __name__ == "__main__":
    main()
