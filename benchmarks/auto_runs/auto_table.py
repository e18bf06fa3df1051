"""What `--auto` loses against the best of seven lengths, and the epochs that it spends.

    python benchmarks/auto_runs/auto_table.py benchmarks/auto_runs/runs.jsonl.gz

Of every run the lowest eval loss counts, since that model is kept. Regret is that loss over the
lowest of the runs with a linear decay over 1, 2, 3, 4, 5, 7 and 10 epochs, in per cent. "Patience 3"
is the run of 10 epochs, evaluated once an epoch and ended by the rule. "Best + 2" is the run whose
length is the best epoch of the run of 3, rounded up, plus 2. Both 95 % intervals are bootstraps over
fine-tunes.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Row = dict[str, Any]
Spent = tuple[float, float]  # the lowest eval loss, and epochs


@dataclass
class FineTune:
    """The runs of one fine-tune."""

    name: list[Any] = field(default_factory=list[Any])
    linear: dict[float, Row] = field(default_factory=dict[float, Row])
    auto: dict[str | None, Row] = field(default_factory=dict["str | None", Row])

    def best(self) -> Spent:
        """Return the best of the linear decays."""
        epochs = min(self.linear, key=lambda e: lowest(self.linear[e]))
        return lowest(self.linear[epochs]), epochs

    def at(self, epochs: float) -> Spent:
        """Return the linear decay over so many epochs."""
        return lowest(self.linear[epochs]), epochs


def evals(row: Row) -> list[tuple[float, float]]:
    """Return the epochs and eval losses of a run."""
    return [(r["epoch"], r["eval_loss"]) for r in row["log_history"] if "eval_loss" in r]


def lowest(row: Row) -> float:
    """Return the eval loss of the model that is kept."""
    return min(loss for _, loss in evals(row))


def load(path: str) -> list[FineTune]:
    """Return the fine-tunes of a file."""
    found: dict[int, FineTune] = collections.defaultdict(FineTune)
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt") as file:
        for row in map(json.loads, file):
            one = found[row["family"][4]]
            one.name = [*row["family"][:3], row["architecture"]]
            if "from" in row:
                one.auto[row["from"]] = row
            else:
                one.linear[row["num_train_epochs"]] = row
    return [one for one in found.values() if len(one.linear) == 7 and len(one.auto) == 2]


def patience(one: FineTune, wait: int = 3) -> Spent:
    """Return where patience ends the run of ten epochs."""
    best, since, epoch = math.inf, 0, 0.0
    for epoch, loss in evals(one.linear[10]):
        if epoch == round(epoch):
            best, since = (loss, 0) if loss < best else (best, since + 1)
            if since >= wait:
                break
    return best, epoch


def best_plus_two(one: FineTune) -> Spent:
    """Return the run of the length that the run of three epochs suggests by this habit."""
    where = min(evals(one.linear[3]), key=lambda point: point[1])[0]
    wanted = math.ceil(where) + 2
    return one.at(min(one.linear, key=lambda e: abs(e - wanted)))


def automatic(one: FineTune, log: str | None, averaged: bool = True) -> Spent:
    """Return what `--auto` did, with the mean of its best checkpoints where that is better."""
    row = one.auto[log]
    mean = row.get("averaged") if averaged else None
    return mean["eval_loss"] if mean else lowest(row), row["num_train_epochs"]


POLICIES: dict[str, Callable[[FineTune], Spent]] = {
    "best length, known afterwards": FineTune.best,
    "--auto from nothing": lambda one: automatic(one, None),
    "--auto after a run of 3 epochs": lambda one: automatic(one, "linear-3"),
    "... nothing, no averaging": lambda one: automatic(one, None, False),
    "... 3 epochs, no averaging": lambda one: automatic(one, "linear-3", False),
    "best + 2, after the same run": best_plus_two,
    "patience 3 in a run of 10": patience,
} | {f"{e} epochs": (lambda one, e=e: one.at(e)) for e in (1, 2, 3, 4, 5, 7, 10)}


def bootstrap(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean."""
    draw = np.random.default_rng(0)
    means = draw.choice(values, (4000, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def print_table(chosen: list[FineTune]) -> None:
    """Print one line for each way to choose a length."""
    title = f"{len(chosen)} fine-tunes"
    print(f"\n{title:34s}  regret %: mean    (95 %)        median    p90   worst  epochs")
    for name, policy in POLICIES.items():
        spent = [policy(one) for one in chosen]
        regret = [
            100 * (loss / one.best()[0] - 1) for one, (loss, _) in zip(chosen, spent, strict=True)
        ]
        low, high = bootstrap(regret)
        print(
            f"{name:34s}{np.mean(regret):13.2f}  ({low:6.2f} to {high:5.2f}){np.median(regret):9.2f}"
            f"{np.quantile(regret, 0.9):7.2f}{max(regret):8.2f}"
            f"{np.mean([epochs for _, epochs in spent]):8.2f}"
        )


def print_each(chosen: Iterable[FineTune]) -> None:
    """Print every fine-tune: best length and regret of the two ways of `--auto`."""
    print(f"\n{'data':8s}{'size':>6s}{'rate':>8s} {'model':6s}   best at  nothing       after 3")
    for one in chosen:
        best, at = one.best()
        text = f"{one.name[0]:8s}{one.name[1]:6d}{one.name[2]:8g} {one.name[3]:6s}{at:10g}"
        for log in (None, "linear-3"):
            loss, epochs = automatic(one, log)
            text += f"{100 * (loss / best - 1):7.2f} %{epochs:5.1f}"
        print(text)


def main() -> None:
    """Print the table, and that of each fine-tune."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs")
    chosen = load(parser.parse_args().runs)
    print_table(chosen)
    print_each(chosen)


if __name__ == "__main__":
    main()
