"""A rate that is held until `start_decay` says so, beside every hold and every linear decay.

usage: python benchmarks/anneal_table.py FAMILIES.jsonl.gz...

Every line of a file is one run: {"family": [data set, examples, rate, schedule, seed],
"num_train_epochs", "max_steps", "wsd": [epochs held, epochs of decay] or null, "log_history"}.
The log of the longest hold of a family is cut after every evaluation, `start_decay` is asked at
each cut, and where it says yes the run that decays there over one epoch is looked up (its best
eval loss; between two holds that were run, the logarithm is interpolated). The longest hold is the
cap. Losses are compared with the best hold of the family and with its best linear decay, of any
length: regret in per cent, mean, median and 90 % quantile, and the epochs trained.

Families of schedule "constant" held their rate for twelve epochs and never decayed. For them the
full decay that makes the progress of the hold and the decay stands for the run that was not made,
where the same fine-tune was run with full decays of several lengths.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import families
import numpy as np
from families import as_run

from ftadvise import annealing
from ftadvise.run import FloatArray, LearningRates, Run, Series
from ftadvise.schedules import POWER

DECAY = 1.0  # epochs, of the runs that are looked up
HOLDS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
LEAST_HOLD = 2.0  # of the longest; with less there is nothing to choose


@dataclass(frozen=True, eq=False)
class Held:
    """One fine-tune that held its rate for several times, and decayed linearly over several.

    Attributes:
        log: The log of the longest hold, before its decay.
        holds: Epochs held by the runs that were made, rising.
        log_loss: Logarithm of the lowest eval loss of each of them.
        linear: Lowest eval loss of the linear decays by their number of epochs.
        pairs: Lowest eval loss by (hold, decay), of all decays.
    """

    log: Run
    holds: FloatArray
    log_loss: FloatArray
    linear: dict[float, float]
    pairs: dict[tuple[float, float], float]

    @property
    def longest(self) -> float:
        """The longest hold."""
        return float(self.holds[-1])

    def loss(self, hold: float) -> float:
        """Return the logarithm of the lowest eval loss after a hold of so many epochs."""
        return float(np.interp(hold, self.holds, self.log_loss))

    def best(self) -> float:
        """Return the same of the best hold."""
        return float(self.log_loss.min())

    def best_linear(self) -> float:
        """Return the same of the best linear decay."""
        return math.log(min(self.linear.values()))


Policy = Callable[[Held], float]


def main() -> None:
    """Print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("families", nargs="+")
    every: list[Held] = []
    for path in parser.parse_args().families:
        found = load(path)
        every += found
        chosen = [one for one in found if one.longest >= LEAST_HOLD and one.linear]
        if chosen:
            print(f"\n{path}: {len(chosen)} fine-tunes")
            print_table(chosen)
        print_constant(path)
    print_decays(every)


def load(path: str) -> list[Held]:
    """Return the fine-tunes of a file that have a run with a hold and one epoch of decay."""
    runs: dict[tuple[Any, ...], dict[tuple[float, float], Run]] = collections.defaultdict(dict)
    linear: dict[tuple[Any, ...], dict[float, float]] = collections.defaultdict(dict)
    with gzip.open(path, "rt") as file:
        for line in file:
            row = json.loads(line)
            name = setup(row["family"])
            if row.get("wsd"):
                hold, decay = row["wsd"]
                runs[name][hold, decay] = as_run(row)
            elif row["family"][3] != "constant":
                linear[name][float(row["num_train_epochs"])] = float(as_run(row).eval.loss.min())
    return [_held(made, linear[name]) for name, made in runs.items() if _whole(made)]


def _whole(made: dict[tuple[float, float], Run]) -> bool:
    return any(decay == DECAY for _, decay in made)


def _held(made: dict[tuple[float, float], Run], linear: dict[float, float]) -> Held:
    holds = sorted(hold for hold, decay in made if decay == DECAY)
    pairs = {pair: float(run.eval.loss.min()) for pair, run in made.items()}
    losses = [math.log(pairs[hold, DECAY]) for hold in holds]
    log = until(made[holds[-1], DECAY], holds[-1])
    return Held(log, np.array(holds), np.array(losses), linear, pairs)


def until(run: Run, epochs: float) -> Run:
    """Return the log of a run as it was after so many epochs, its plan unknown."""

    def cut(series: Series) -> Series:
        return series.take(series.epoch <= epochs + 1e-9)

    lr, kept = run.lr, run.lr.epoch <= epochs + 1e-9
    rates = LearningRates(lr.key, lr.step[kept], lr.epoch[kept], lr.rate[kept])
    return replace(
        run,
        train=cut(run.train),
        eval=cut(run.eval),
        lr=rates,
        planned_epochs=None,
        planned_steps=None,
    )


def decided(one: Held, every: float = 0.5) -> float:
    """Return the hold that `start_decay` chooses with an evaluation every so many epochs."""
    place = one.log.eval.epoch / every
    kept = np.abs(place - np.round(place)) < 0.1  # not to the digit: a step is a whole number
    log = replace(one.log, eval=one.log.eval.take(kept))
    return min(_asked(log, one.longest + DECAY), one.longest)


def _asked(log: Run, cap: float) -> float:
    """Return the epoch of the first evaluation at which `start_decay` says yes."""
    for epoch in log.eval.epoch.tolist():
        if annealing.start_decay(until(log, epoch), DECAY, cap).start:
            return float(epoch)
    return cap - DECAY


def by_trend(one: Held) -> float:
    """Return the hold that is chosen when nothing that was learned applies."""
    with mock.patch.object(annealing, "LEAST_TRUST", math.inf):
        return decided(one)


def oracle(one: Held) -> float:
    """Return the best hold, known only afterwards."""
    return float(one.holds[one.log_loss.argmin()])


def print_table(chosen: list[Held]) -> None:
    """Print what each way of choosing spends and loses."""
    print(f"{'':34s}{'against the best hold':>26s}{'against the best linear':>28s}  epochs")
    held: dict[str, Policy] = {
        "start_decay, 2 evals an epoch": decided,
        "start_decay, 1 eval an epoch": lambda one: decided(one, 1.0),
        "its trend rule alone": by_trend,
        "best hold, known afterwards": oracle,
    }
    held |= {f"hold {hold:g} epochs": _fixed(hold) for hold in HOLDS}
    for title, policy in held.items():
        holds = [policy(one) for one in chosen]
        losses = [one.loss(hold) for one, hold in zip(chosen, holds, strict=True)]
        print_row(title, chosen, losses, [hold + DECAY for hold in holds])
    for epochs in (2.0, 3.0, 5.0, 7.0):
        if all(epochs in one.linear for one in chosen):
            losses = [math.log(one.linear[epochs]) for one in chosen]
            title = f"linear decay over {epochs:g} epochs"
            print_row(title, chosen, losses, [epochs] * len(chosen))
    best = [min(one.linear, key=one.linear.__getitem__) for one in chosen]
    print_row("best linear, known afterwards", chosen, [one.best_linear() for one in chosen], best)


def _fixed(hold: float) -> Policy:
    return lambda one: min(hold, one.longest)


def print_row(title: str, chosen: list[Held], losses: list[float], epochs: list[float]) -> None:
    """Print mean, median and 90 % quantile of the regret against both, and the mean of epochs."""
    text = f"{title:34s}"
    for best in (Held.best, Held.best_linear):
        pairs = zip(chosen, losses, strict=True)
        regret = 100.0 * np.expm1([loss - best(one) for one, loss in pairs])
        text += f"{regret.mean():9.2f}{np.median(regret):8.2f}{np.quantile(regret, 0.9):8.2f}  "
    print(f"{text}{np.mean(epochs):8.2f}")


def print_constant(path: str) -> None:
    """Print the regret of the full decay that a decision on a constant rate stands for."""
    lengths = {setup(family.name): family for family in families.load(path)}
    runs: list[tuple[Run, families.Family]] = []
    with gzip.open(path, "rt") as file:
        for line in file:
            row = json.loads(line)
            if row["family"][3] == "constant" and setup(row["family"]) in lengths:
                runs.append((as_run(row), lengths[setup(row["family"])]))
    if not runs:
        return
    print(f"\n{len(runs)} constant rates, as full decays of the same progress")
    holds = [_asked(run, float(run.eval.epoch[-1]) + DECAY) for run, _ in runs]
    rows = {"start_decay, 2 evals an epoch": holds}
    rows |= {f"hold {hold:g} epochs": [hold] * len(runs) for hold in HOLDS}
    for title, chosen in rows.items():
        full = [hold * (1.0 + POWER) + DECAY for hold in chosen]
        regret = np.array([100.0 * one.regret(e) for (_, one), e in zip(runs, full, strict=True)])
        text = f"{regret.mean():9.2f}{np.median(regret):8.2f}{np.quantile(regret, 0.9):8.2f}"
        print(f"{title:34s}{'':26s}{text}  {np.mean(chosen) + DECAY:8.2f}")


def setup(name: Any) -> tuple[Any, ...]:
    """Return what the runs of a fine-tune share apart from their schedule."""
    return (*name[:3], *name[4:])


def print_decays(every: list[Held]) -> None:
    """Print how often one epoch of decay ends lower than half an epoch after the same hold."""
    gains = [
        math.log(loss / one.pairs[hold, 1.0])
        for one in every
        for (hold, decay), loss in one.pairs.items()
        if decay == 0.5 and (hold, 1.0) in one.pairs
    ]
    better = sum(gain > 0 for gain in gains)
    print(
        f"\none epoch of decay instead of half: lower in {better} of {len(gains)} pairs, "
        f"by {100 * float(np.mean(gains)):.1f} % in the mean"
    )


if __name__ == "__main__":
    main()
