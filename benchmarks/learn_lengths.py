"""Learns how far a forecast of a run of another length is off, from fine-tunes of several lengths.

usage: python benchmarks/learn_lengths.py FAMILIES.jsonl.gz... [--test FAMILIES.jsonl.gz]
           [--past] [--choices] [--write]

Every log is asked for the lowest eval loss of the runs of its family that have other lengths. What
`ftadvise.lengths` has to add so that 90 % intervals hold 90 % is a standard deviation of log loss,

    doubt = near + growth · |log(length / nearest length whose log is there)|,

with one growth for shorter runs and one for longer ones (quantile regression, of the doubt that
each forecast would have needed). `learned` is for logs with an optimum, `laws` for those without,
such as one without train loss. Printed, leaving one data set out at a time: the share of losses
inside the intervals, and errors beside the plain answer "as good as this run", with bootstrap 90 %
intervals over families. Families of --test are forecast with the shipped constants and the doubt
learned here. --past: the same with the log of one more length given. --choices: what the constants
of `ftadvise.lengths` were chosen by. --write makes advisor/ftadvise/priors/lengths.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from pathlib import Path
from unittest import mock

import numpy as np
from families import Family, load
from horizon_model import rows
from length_cases import Cases, cases
from length_tables import Model, choices, doubts, inside, report, with_past
from scipy import optimize

from ftadvise.run import FloatArray

PRIOR = Path(__file__).parent.parent / "advisor" / "ftadvise" / "priors" / "lengths.json"
HELD = 0.9
STEPS = np.concatenate([[0.0], np.geomspace(5e-4, 1.0, 50)])  # of doubt that are tried


def main() -> None:
    """Learn, print what it is worth, and write the prior when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--test")
    for flag in ("past", "choices", "write"):
        parser.add_argument(f"--{flag}", action="store_true")
    options = parser.parse_args()
    families = load(*options.files)
    known = rows(families)
    tests = load(options.test) if options.test else []
    models: dict[str, Model] = {}
    held: dict[str, float] = {}
    for kind in ("learned", "laws"):
        alone = mock.patch("ftadvise.fitting.optimum", return_value=None)
        with alone if kind == "laws" else contextlib.nullcontext():
            found = cases(families, known)
            need = needed(found)
            models[kind] = learn(found, need)
            doubt = left_out(found, need)
            report(f"{kind}, data set left out", found, doubt)
            held[kind] = round(float(inside(found, doubt, HELD).mean()), 3)
            if tests:
                told = cases(tests, None)
                report(f"{kind}, {options.test}", told, doubts(models[kind], told))
        print(f"\n{kind}: {models[kind]}")
    if options.past:
        with_past("data set left out", families, known, models["learned"])
        if tests:
            with_past(options.test, tests, None, models["learned"])
    if options.choices:
        choices(families, known)
    if options.write:
        _write(models, held, families, options.files)


def needed(found: Cases) -> FloatArray:
    """Return the least doubt with which the 90 % interval of each case holds what was reached."""
    least = np.full(found.ratio.size, 2 * STEPS[-1])
    for step in STEPS[::-1]:
        least[inside(found, np.full(least.size, step), HELD)] = step
    return least


def learn(found: Cases, need: FloatArray) -> Model:
    """Return near, shorter and longer, with which the intervals hold 90 % (pinball loss)."""

    def loss(q: FloatArray) -> float:
        off = need - doubts(_model(q), found)
        return float(np.mean(np.maximum(HELD * off, (HELD - 1.0) * off)))

    best = optimize.minimize(loss, np.log([0.005, 0.01, 0.03]), method="Nelder-Mead")
    return _model(best.x)


def _model(q: FloatArray) -> Model:
    values = [float(f"{value:.3g}") for value in np.exp(q)]
    return dict(zip(("near", "shorter", "longer"), values, strict=True))


def left_out(found: Cases, need: FloatArray) -> FloatArray:
    """Return the doubt of every case, learned without its data set."""
    doubt = np.zeros(found.ratio.size)
    for name in np.unique(found.dataset):
        here = found.dataset == name
        doubt[here] = doubts(learn(found.take(~here), need[~here]), found.take(here))
    return doubt


def _write(
    models: dict[str, Model], held: dict[str, float], families: list[Family], files: list[str]
) -> None:
    names = " ".join(Path(file).name for file in files)
    table = {
        "provenance": {
            "made_by": f"python benchmarks/learn_lengths.py {names} --write",
            "fine_tunes": len(families),
            "data_sets": sorted({family.dataset for family in families}),
            "coverage_left_out": held,
        },
        **models,
    }
    text = json.dumps(table, indent=1)
    text = re.sub(r"\[[^\[\]]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text)
    PRIOR.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {PRIOR}")


if __name__ == "__main__":
    main()
