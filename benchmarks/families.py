"""Counterfactual fine-tunes: the same fine-tune run at several numbers of epochs.

Every line of a file is one run: {"family", "num_train_epochs", "log_history"}, where the first
entry of "family" names the data set. The runs of a family differ in nothing but their length, each
with a learning-rate schedule of its own.
"""

from __future__ import annotations

import collections
import gzip
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ftadvise.run import FloatArray, LearningRates, Run, Series

LEAST_LENGTHS = 5
CUTS = (3, 5, 7, 10, 12)  # epochs after which a constant-rate run is looked at


@dataclass(frozen=True, eq=False)
class Family:
    """One fine-tune at several lengths.

    Attributes:
        name: What tells it from the others.
        dataset: The data set, what is left out together.
        model: The shape of the model, where the file says it.
        runs: The log of every run, by number of epochs.
        epochs: The lengths, rising, shape (k,).
        loss: The lowest eval loss that a run of each length reaches, shape (k,).
        held: Its run at a constant rate, as its log was after some numbers of epochs.
    """

    name: tuple[Any, ...]
    dataset: str
    model: str
    runs: dict[float, Run]
    epochs: FloatArray
    loss: FloatArray
    held: dict[float, Run] = field(default_factory=dict[float, Run])

    @property
    def regrets(self) -> FloatArray:
        """What every length loses against the best one, as a share of the loss, shape (k,)."""
        regrets: FloatArray = self.loss / self.loss.min() - 1.0
        return regrets

    def regret(self, epochs: float) -> float:
        """Return the same for any number of epochs, linear in its logarithm between the runs."""
        return float(
            np.interp(math.log(max(epochs, self.epochs[0])), np.log(self.epochs), self.regrets)
        )


def load(*paths: str) -> list[Family]:
    """Return the families of these files that have at least five lengths."""
    found: dict[tuple[str, tuple[Any, ...]], dict[float, Run]] = collections.defaultdict(dict)
    models: dict[tuple[str, tuple[Any, ...]], str] = {}
    for path in paths:
        with gzip.open(path, "rt") as file:
            for line in file:
                row = json.loads(line)
                plain = not row.get("wsd") and "from" not in row
                if row["family"][3] != "constant" and plain:
                    key = path, tuple(row["family"])
                    found[key][float(row["num_train_epochs"])] = as_run(row)
                    models[key] = f"{Path(path).name} {row.get('width')}x{row.get('layers')}"
    families = []
    for key, runs in found.items():
        name = key[1]
        lengths = sorted(runs)
        if len(lengths) >= LEAST_LENGTHS:
            lowest = [float(runs[e].eval.loss.min()) for e in lengths]
            by_length = {e: runs[e] for e in lengths}
            families.append(
                Family(
                    name,
                    str(name[0]),
                    models[key],
                    by_length,
                    np.array(lengths),
                    np.array(lowest),
                )
            )
    return families


def constant_runs(families: list[Family], path: str) -> list[Family]:
    """Add the constant-rate runs of a file to the families that they belong to."""
    found: dict[tuple[Any, ...], dict[float, Run]] = {}
    with gzip.open(path, "rt") as file:
        for line in file:
            row = json.loads(line)
            if row["family"][3] == "constant":
                run = as_run(row)
                found[_setup(row["family"])] = {float(e): cut(run, e) for e in CUTS}
    return [replace(family, held=found.get(_setup(family.name), {})) for family in families]


def _setup(name: Any) -> tuple[Any, ...]:
    """Return what a family's runs share apart from their schedule."""
    return (*name[:3], *name[4:])


def cut(run: Run, epochs: float) -> Run:
    """Return the log as it was after so many epochs, as if no more had been planned."""
    train, evals = (series.take(series.epoch <= epochs + 1e-9) for series in (run.train, run.eval))
    logged = run.lr.epoch <= epochs + 1e-9
    rates = LearningRates(
        run.lr.key, *(part[logged] for part in (run.lr.step, run.lr.epoch, run.lr.rate))
    )
    return replace(run, train=train, eval=evals, lr=rates, planned_epochs=float(epochs))


def as_run(row: dict[str, Any]) -> Run:
    """Return the run of one line, without the evaluation before the first step."""
    history = row["log_history"]
    train = [r for r in history if "loss" in r]
    evals = [r for r in history if "eval_loss" in r and r["epoch"] > 0]

    def column(rows: list[dict[str, Any]], key: str) -> FloatArray:
        return np.array([r.get(key, np.nan) for r in rows], dtype=np.float64)

    return Run(
        train=Series("loss", column(train, "step"), column(train, "epoch"), column(train, "loss")),
        eval=Series(
            "eval_loss", column(evals, "step"), column(evals, "epoch"), column(evals, "eval_loss")
        ),
        lr=LearningRates(
            "learning_rate",
            column(train, "step"),
            column(train, "epoch"),
            column(train, "learning_rate"),
        ),
        planned_epochs=float(row["num_train_epochs"]),
        planned_steps=float(row["max_steps"]) if row.get("max_steps") else None,
    )
