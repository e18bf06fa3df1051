"""Real eval-loss curves, and how curves of one origin are told apart.

Every line of a file is one run: {"id", "kind", "causal_lm", "repo", "state": {"num_train_epochs"?,
"max_steps"?, "log_history"}}. `kind` is `"runs"` for a log as it was written and something else for
one that was put together from a table; `causal_lm` says whether it is a language model's.
"""

from __future__ import annotations

import collections
import gzip
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ftadvise.readers import read
from ftadvise.run import FloatArray, LearningRates, Run, Series

LEAST_EVALS = 8
COLLECTION = 50  # a repository with more curves than this has gathered them from elsewhere
FOLDS = 10


@dataclass(frozen=True, eq=False)
class Curve:
    """One run with its eval losses.

    Attributes:
        run: The whole log.
        losses: Eval losses in the order of the log, shape (n,).
        end: Epoch of the last evaluation, as logged.
        owner: Who the repository belongs to.
        group: What is left out together: the owner, or in a collection the data set, which its
            number of steps per epoch gives away.
        kind: `"runs"` or `"recon"`.
        language_model: Whether it is a causal language model's.
    """

    run: Run
    losses: FloatArray
    end: float
    owner: str
    group: str
    kind: str
    language_model: bool

    @property
    def overfits(self) -> bool:
        """Whether the lowest loss lies well before the end and the last is 2 % above it."""
        best = int(self.losses.argmin())
        return best < 0.9 * self.losses.size - 1 and self.losses[-1] > 1.02 * self.losses.min()

    def first(self, count: int) -> Run:
        """Return the run as its log stood after `count` evaluations."""
        run = self.run
        seen = run.eval.take(slice(0, count))
        now = seen.epoch[-1] if np.isfinite(seen.epoch[-1]) else np.inf
        rates = run.lr
        kept = rates.epoch <= now
        lr = LearningRates(rates.key, rates.step[kept], rates.epoch[kept], rates.rate[kept])
        train: Series = run.train.take(run.train.epoch <= now)
        return replace(run, eval=seen, train=train, lr=lr)


def load(path: str) -> list[Curve]:
    """Return the curves of a file that have at least eight positive eval losses."""
    with gzip.open(path, "rt") as file:
        rows: list[dict[str, Any]] = [json.loads(line) for line in file]
    sizes = collections.Counter(row["repo"] for row in rows)
    curves: list[Curve] = []
    for row in rows:
        evals = [x for x in row["state"]["log_history"] if "eval_loss" in x]
        losses = np.array([x["eval_loss"] for x in evals], dtype=np.float64)
        if losses.size < LEAST_EVALS or losses.min() <= 0:
            continue
        owner = str(row["repo"]).split("/")[0]
        group = owner
        if sizes[row["repo"]] > COLLECTION:
            group = f"{owner} {_steps_per_epoch(evals[-1])}"
        language_model = bool(row["causal_lm"])
        end = float(evals[-1]["epoch"])
        run = _as_run(row["state"])
        curves.append(Curve(run, losses, end, owner, group, row["kind"], language_model))
    return curves


def _steps_per_epoch(row: dict[str, Any]) -> int:
    return round(row["step"] / row["epoch"]) if row.get("step") and row.get("epoch") else 0


def _as_run(state: dict[str, Any]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trainer_state.json"
        path.write_text(json.dumps(state), encoding="utf-8")
        return read(path)


def folds(groups: list[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the fold, 0 to 9, of every curve; curves of one group share one."""
    names = sorted(set(groups))
    order = np.random.default_rng(0).permutation(len(names))
    fold = {names[place]: i % FOLDS for i, place in enumerate(order)}
    return np.array([fold[group] for group in groups], dtype=np.int64)


def resamples(groups: list[str], times: int, seed: int = 0) -> FloatArray:
    """Return how often every curve counts in each bootstrap sample of groups.

    Returns:
        Shape (times, curves).
    """
    names, places = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(names.size, np.full(names.size, 1.0 / names.size), size=times)
    counts: FloatArray = drawn[:, places].astype(np.float64)
    return counts


def weighted_quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    """Return the `share` quantile of values that count `weights` times."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, share * total[-1])])
