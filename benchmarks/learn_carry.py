"""Learns how far the best number of epochs of one fine-tune speaks about that of another.

usage: python benchmarks/learn_carry.py FAMILIES.jsonl.gz [--test FAMILIES.jsonl.gz] [--write]

The logarithm of the best number of epochs falls with the peak learning rate and with the size of
the model, and is higher for LoRA: three slopes, found over all fine-tunes with an effect for every
data set. Then every pair of fine-tunes is a case: the number of the one, moved along the slopes,
against that of the other. What they differ by is how unsure the carried number is, with the same
data and with other data. Pairs are scored on slopes that saw neither of their data sets. --write
makes advisor/ftadvise/priors/carry.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from families import Family, load
from horizon_model import NEARLY

from ftadvise.run import FloatArray

PRIOR = Path(__file__).parent.parent / "advisor" / "ftadvise" / "priors" / "carry.json"
PENALTY = 2.0  # of the effect of a data set, in fine-tunes
SLOPES = ("log_learning_rate", "log_parameters", "lora")
VOCABULARY = 4096


@dataclass(frozen=True, eq=False)
class Table:
    """Fine-tunes as arrays of shape (n,); `facts` has shape (n, 3), in the order of `SLOPES`."""

    facts: FloatArray
    target: FloatArray
    dataset: Any
    model: Any

    def take(self, rows: Any) -> Table:
        """Return these fine-tunes."""
        return Table(self.facts[rows], self.target[rows], self.dataset[rows], self.model[rows])


def main() -> None:
    """Learn, score pairs, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--test")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    table = read(options.file)
    found = slopes(table)
    print(
        f"{table.target.size} fine-tunes; slopes {dict(zip(SLOPES, found.round(3), strict=True))}"
    )
    spread = scored(table, "learned from, the data sets of a pair left out", _left_out(table))
    if options.test:
        test = read(options.test)
        scored(test, "not learned from", np.tile(found, (test.target.size, 1)))
    if options.write:
        made_by = f"python benchmarks/learn_carry.py {Path(options.file).name} --write"
        text = json.dumps(
            {
                "provenance": {"made_by": made_by, "fine_tunes": table.target.size},
                "slopes": {n: round(float(s), 3) for n, s in zip(SLOPES, found, strict=True)},
                "spread": {name: round(value, 3) for name, value in spread.items()},
            },
            indent=1,
        )
        PRIOR.write_text(text + "\n", encoding="utf-8")


def read(path: str) -> Table:
    """Return the fine-tunes of a file with their facts."""
    facts: dict[tuple[Any, ...], dict[str, Any]] = {}
    with gzip.open(path, "rt") as file:
        for line in file:
            row = json.loads(line)
            facts[tuple(row["family"])] = row
    families = load(path)
    return Table(
        np.array([_facts(facts[f.name]) for f in families]),
        np.array([_target(f) for f in families]),
        np.array([f.dataset for f in families]),
        np.array([f.model for f in families]),
    )


def slopes(table: Table) -> FloatArray:
    """Return the slopes by least squares, with a shrunk effect for every data set."""
    names = np.unique(table.dataset)
    effects = (table.dataset[:, None] == names[None]).astype(np.float64)
    columns = np.concatenate([np.ones((len(effects), 1)), table.facts, effects], axis=1)
    first = 1 + len(SLOPES)
    penalty = np.diag(np.repeat([1e-6, PENALTY], [first, len(names)]))
    found = np.linalg.solve(columns.T @ columns + penalty, columns.T @ table.target)
    return np.asarray(found[1:first], dtype=np.float64)


def _left_out(table: Table) -> FloatArray:
    """Return for every fine-tune the slopes learned without its data set, shape (n, 3)."""
    found = np.empty_like(table.facts)
    for name in np.unique(table.dataset):
        found[table.dataset == name] = slopes(table.take(table.dataset != name))
    return found


def scored(table: Table, title: str, found: FloatArray) -> dict[str, float]:
    """Print how far pairs of fine-tunes are apart, and return it for the same and other data."""
    print(f"\n{title}: root mean square of log E* of one fine-tune over that of another")
    one, other = np.triu_indices(table.target.size, 1)
    apart = table.target[other] - table.target[one]
    # The mean of both sides' slopes: of other data sets both have to be left out.
    slope = 0.5 * (found[one] + found[other])
    moved = apart - ((table.facts[other] - table.facts[one]) * slope).sum(axis=1)
    same_data = table.dataset[one] == table.dataset[other]
    same_model = table.model[one] == table.model[other]
    for data in (True, False):
        for model in (True, False):
            here = (same_data == data) & (same_model == model)
            print(
                f"  {'same' if data else 'other'} data, {'same' if model else 'other'} model: "
                f"{here.sum():6d} pairs, as it was {_rms(apart[here]):.3f}, "
                f"along the slopes {_rms(moved[here]):.3f}"
            )
    return {"same_data": _rms(moved[same_data]), "other_data": _rms(moved[~same_data])}


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _facts(row: dict[str, Any]) -> list[float]:
    parameters = 12 * row["layers"] * row["width"] ** 2 + VOCABULARY * row["width"]
    return [math.log(row["family"][2]), math.log(parameters), float(row["lora_rank"] > 0)]


def _target(family: Family) -> float:
    weight = np.exp(-family.regrets / NEARLY)
    return float(weight @ np.log(family.epochs) / weight.sum())


if __name__ == "__main__":
    main()
