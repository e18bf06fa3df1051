"""Learns where the best number of epochs lies from fine-tunes run at several lengths.

usage: python benchmarks/learn_horizon.py FAMILIES.jsonl.gz... [--test FAMILIES.jsonl.gz...] [--write]

Every row of the learning table is one log (one run of one family, taken as the run in hand) with
its gap features, and the lengths of that family that were nearly as good as the best. The model is
that of `ftadvise.optimum`. What it is worth is printed leaving one data set out at a time, one
model out, and one file out, beside the rules that people use; files named with --test are scored on
constants that never saw them. --write makes advisor/ftadvise/priors/horizon.json from all rows.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from families import constant_runs, load
from horizon_model import Row, learn, left_out, predict, rows

from ftadvise.run import FloatArray

PRIOR = Path(__file__).parent.parent / "advisor" / "ftadvise" / "priors" / "horizon.json"
SCORED = (3, 5, 7, 10)  # lengths of the run in hand


def report(name: str, table: list[Row], epochs: FloatArray) -> None:
    """Print the regret of these answers: mean with a bootstrap interval over families, and more."""
    scored = np.array([row.seen in SCORED for row in table])
    regret = 100 * np.array(
        [r.family.regret(max(1.0, round(e))) for r, e in zip(table, epochs, strict=True)]
    )
    regret, kept = regret[scored], [row for row, s in zip(table, scored, strict=True) if s]
    seen = np.array([row.seen for row in kept])
    by_seen = " ".join(f"{e}: {regret[seen == e].mean():.2f}" for e in SCORED if e in seen)
    order: dict[int, int] = {}  # by appearance, so that the bootstrap is the same in every run
    family = np.array([order.setdefault(id(row.family), len(order)) for row in kept])
    sums = np.array([[regret[family == f].sum(), (family == f).sum()] for f in np.unique(family)])
    picks = np.random.default_rng(0).integers(len(sums), size=(2000, len(sums)))
    means = sums[picks, 0].sum(axis=1) / sums[picks, 1].sum(axis=1)
    low, high = np.quantile(means, [0.05, 0.95])
    print(
        f"  {name:28s} mean {regret.mean():5.2f} ({low:.2f} to {high:.2f}) median {np.median(regret):.2f} "
        f"p90 {np.quantile(regret, 0.9):5.2f}  by epochs seen {by_seen}"
    )


def rules(table: list[Row]) -> None:
    """Print the rules that people use."""
    report("keep what it was", table, np.array([row.seen for row in table]))
    report("always 3", table, np.full(len(table), 3.0))
    for more in (0, 1, 2):
        report(
            f"ceil(best epoch) + {more}", table, np.array([row.habit - 1 + more for row in table])
        )


def main() -> None:
    """Learn, print what it is worth, and write the prior when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--test", nargs="*", default=[])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    print("regret in % of the best loss that any length reaches, mean (90 % bootstrap interval)")
    models: dict[str, Any] = {}
    table: list[Row] = []
    for kind in ("annealed", "held"):
        parts = {path: _of(kind, path) for path in options.files}
        here = [row for part in parts.values() for row in part]
        table += here
        print(f"\nlogs of runs whose rate {'came down' if kind == 'annealed' else 'was held'}")
        models[kind] = _judged(parts, {path: _of(kind, path) for path in options.test})
    if options.write:
        _write(models, table, options.files)


def _judged(parts: dict[str, list[Row]], tests: dict[str, list[Row]]) -> dict[str, Any]:
    """Print what is learned from these files is worth, and return the model."""
    table = [row for part in parts.values() for row in part]
    kept, found = left_out(table)
    same_model, by_model = left_out(table, "model")
    source = {id(row): path for path, part in parts.items() for row in part}
    for path, part in parts.items():
        here = [source[id(row)] == path for row in kept]
        print(f"{path}: {len({id(r.family) for r in part})} families")
        rules(part)
        mine = [row for row, h in zip(kept, here, strict=True) if h]
        report("learned, data set left out", mine, np.exp(found[here]))
        here = [source[id(row)] == path for row in same_model]
        mine = [row for row, h in zip(same_model, here, strict=True) if h]
        report("learned, model left out", mine, np.exp(by_model[here]))
        others = [row for row in table if source[id(row)] != path]
        if others:
            report("learned on the other files", part, np.exp(predict(learn(others), part)))
    model = learn(table)
    for path, part in tests.items():
        print(f"{path}: {len({id(r.family) for r in part})} families, not learned from")
        rules(part)
        report("learned", part, np.exp(predict(model, part)))
    model["spread"] = float(np.sqrt(np.mean((found - [row.target for row in kept]) ** 2)))
    print(f"error of log E*, data set left out: {model['spread']:.3f}")
    return model


def _of(kind: str, path: str) -> list[Row]:
    return [row for row in rows(constant_runs(load(path), path)) if row.held == (kind == "held")]


def _write(models: dict[str, Any], table: list[Row], files: list[str]) -> None:
    names = sorted({row.family.dataset for row in table})
    provenance = {
        "made_by": "python benchmarks/learn_horizon.py "
        + " ".join(Path(f).name for f in files)
        + " --write",
        "logs": len(table),
        "fine_tunes": len({(row.family.model, row.family.name) for row in table}),
        "data_sets": names,
    }
    text = json.dumps(_rounded({"provenance": provenance, **models}), indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text)
    PRIOR.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {PRIOR}, {len(text)} bytes")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
