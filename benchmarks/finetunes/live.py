"""Learning rates that are decided upon while the run goes on, beside linear decays of every length.

    PYTHONPATH=benchmarks python benchmarks/finetunes/live.py --data .finetune-data --out live.jsonl --seconds 300
    PYTHONPATH=benchmarks python benchmarks/finetunes/live.py --table benchmarks/finetunes/live.jsonl.gz

The same stacked fine-tunes as `make.py`, of new groups (from 50 on). Each family is trained at the
seven lengths with a linear decay, and once with every rule of `RULES`, which looks at the log after
every half epoch. Asked is what each rule loses against the best length, and the epochs it spends.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import grouprunner
import numpy as np
import plan
import torch
from engine import How
from families import as_run
from grouprunner import GroupRunner, OutOfTimeError, Row, Running
from make import Data
from numpy.typing import NDArray
from plan import BASES, Family, Group, Run, make_group
from pretraining import pretrain, windows

from ftadvise.annealing import start_decay
from ftadvise.optimum import optimum
from ftadvise.thinning import observed_points

CAP = 10.0
FIRST_GROUP = 50


@dataclass
class Moving:
    """A linear decay whose end is moved to where the best length seems to lie; in epochs."""

    end: float
    held: bool  # which of the learned tables is asked
    at: float = 0.0
    share: float = 1.0

    def shares(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of the peak rate at these epochs, warm-up apart."""
        return self.share * np.clip((self.end - epoch) / max(self.end - self.at, 1e-9), 0.0, 1.0)

    def look(self, done: float, log: list[Row]) -> None:
        """Move the end."""
        found = best_length(done, log, self.end, self.held)
        if found is not None and done < self.end:
            self.share = float(self.shares(np.array([done]))[0])
            self.at = done
            self.end = max(done + 0.5, min(CAP, round(2 * found) / 2))


@dataclass
class Hold:
    """The peak rate until `start_decay` says so; in epochs."""

    decay: float
    start: float | None = None

    @property
    def end(self) -> float:
        """The epoch at which the rate is zero."""
        return CAP if self.start is None else self.start + self.decay

    def shares(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of the peak rate at these epochs, warm-up apart."""
        return np.clip((self.end - epoch) / self.decay, 0.0, 1.0)

    def look(self, done: float, log: list[Row]) -> None:
        """Begin the decay if it is time."""
        if self.start is None:
            run = replace(_run(log, CAP), planned_epochs=None, planned_steps=None)
            if start_decay(run, self.decay, CAP).start:
                self.start = done


def _run(log: list[Row], epochs: float) -> Any:
    return as_run({"log_history": log, "num_train_epochs": epochs})


def best_length(done: float, log: list[Row], end: float, held: bool) -> float | None:
    """Return the best length of a linear decay, as far as the log tells; None if it does not."""
    run = _run(log, end)
    points = observed_points(run, "eval")
    if done < 1.0 or points.loss.size < 3 or points.loss.min() <= 0:
        return None
    best = float(points.epoch[points.loss.argmin()])
    found = optimum(run, held, best)
    if found is None or found.trust < 0.1:
        return None
    habit = math.log(math.ceil(best) + 1)
    return math.exp((found.log_epochs - (1.0 - found.trust) * habit) / found.trust)


RULES: dict[str, Any] = {
    "hold, decay of 1 epoch": lambda: Hold(1.0),
    "hold, decay of 2 epochs": lambda: Hold(2.0),
    "linear to 5, moved": lambda: Moving(5.0, True),
    "linear to 5, moved, annealed table": lambda: Moving(5.0, False),
    "linear to 10, moved": lambda: Moving(10.0, True),
}


class Live(Running):
    """A run whose rule decides."""

    def __post_init__(self) -> None:
        """Take the rule of the run's name."""
        super().__post_init__()
        make = RULES.get(self.run.schedule)
        self.rule: Any = make() if make else None
        if self.rule is not None:
            self.warmup = math.ceil(self.run.family.warmup_ratio * 4 * self.per_epoch)

    def shares(self, at: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the share of the peak rate at these steps."""
        if self.rule is None:
            return super().shares(at)
        warm = np.minimum(1.0, (at + 1) / (self.warmup + 1))
        decided: NDArray[np.float64] = warm * self.rule.shares(at / self.per_epoch)
        return decided

    def add(self, **values: float) -> None:
        """Log, and after an evaluation look at the log."""
        super().add(**values)
        if self.rule is not None and "eval_loss" in values and self.done:
            self.rule.look(self.done / self.per_epoch, self.log)
            ended = max(round(self.rule.end * 2) / 2, 0.5)
            self.total = min(self.total, round(ended * self.per_epoch))
            self.total = max(self.total, self.done)


class LiveRunner(GroupRunner):
    """Runs fine-tunes whose rate is decided upon as they go on."""

    def _row(self, running: Running) -> Row:
        return super()._row(running) | {"rule": running.run.schedule}


def runs(family: Family) -> list[Run]:
    """Return the seven lengths and one run for each rule."""
    return [Run(family, e, "linear") for e in plan.HORIZONS] + [
        Run(family, CAP, name) for name in RULES
    ]


def groups(pairs: dict[int, dict[str, int]]) -> list[Group]:
    """Return groups that no file has, architectures in turn, rates as they are fine-tuned with."""
    found: list[Group] = []
    for place, base in enumerate(BASES):
        for turn in range(3):
            group = make_group(5 * (FIRST_GROUP + 3 * place + turn) + 1, base, pairs)
            families = tuple(
                replace(f, schedule="linear", constant=False, holds=False)
                for f in group.families[: max(4, len(group.families) // 2)]
            )
            found.append(replace(group, rank=0, families=families))
    return found


def make(options: argparse.Namespace) -> None:
    """Train what fits into the time, small models first."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    deadline = time.monotonic() + options.seconds
    data = Data(options.data, device)
    how = How(torch.bfloat16 if gpu else torch.float32, gpu)
    pool = np.asarray(np.load(options.data / "pool.npy", mmap_mode="r"))
    chosen = _tiny(data.counts()) if options.tiny else groups(data.counts())
    for group in sorted(chosen, key=lambda g: g.base.shape.parameters):
        if time.monotonic() > deadline - 15:
            break
        weights = _weights(group, pool, how, device)
        table, places = data.table(group)
        begin = time.monotonic()
        try:
            with (
                mock.patch.object(grouprunner, "runs", runs),
                mock.patch.object(grouprunner, "Running", Live),
            ):
                rows = LiveRunner(group, weights, table, places, how).run(deadline)
        except OutOfTimeError as ended:
            rows = ended.rows
        with options.out.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        took = time.monotonic() - begin
        print(f"{group.base.shape} {group.examples}: {len(rows)} runs, {took:.0f} s", flush=True)


def _tiny(pairs: dict[int, dict[str, int]]) -> list[Group]:
    group = plan.tiny_plan(pairs)[0]
    plain = [replace(f, constant=False, holds=False, schedule="linear") for f in group.families]
    return [replace(group, families=tuple(plain))]


_KEPT: dict[Any, Any] = {}


def _weights(group: Group, pool: NDArray[Any], how: How, device: torch.device) -> Any:
    if group.base not in _KEPT:
        _KEPT[group.base] = pretrain(
            group.base, windows(pool, group.base.shape.length, device), how
        )
    return _KEPT[group.base]


def table(path: Path) -> None:
    """Print regret and epochs of every rule and of every length, in all and by the peak rate."""
    families: dict[str, dict[Any, tuple[float, float]]] = collections.defaultdict(dict)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as file:
        rows: list[Row] = [json.loads(line) for line in file]
    rates = {str(row["family"]): float(row["family"][2]) for row in rows}
    for row in rows:
        evals = [r["eval_loss"] for r in row["log_history"] if "eval_loss" in r and r["epoch"] > 0]
        name = row["rule"] if row["rule"] in RULES else row["num_train_epochs"]
        spent = max(r["epoch"] for r in row["log_history"])
        families[str(row["family"])][name] = (min(evals), spent)
    whole = [n for n, f in families.items() if len(f) == len(RULES) + len(plan.HORIZONS)]
    bands = {"all rates": (0.0, 1.0), "1e-4 to 5e-4": (1e-4, 5e-4), "above 5e-4": (5.001e-4, 1.0)}
    for title, (low, high) in bands.items():
        _print(title, [families[n] for n in whole if low <= rates[n] <= high])


def _print(title: str, chosen: list[dict[Any, tuple[float, float]]]) -> None:
    best = [min(f[e] for e in plan.HORIZONS) for f in chosen]
    print(
        f"\n{title}: {len(chosen)} families, the best length {np.mean([b[1] for b in best]):.2f} "
        f"epochs in the mean\n{'':38s}{'mean':>7s}{'median':>8s}{'p90':>7s}{'epochs':>8s}"
    )
    for name in (*RULES, *plan.HORIZONS):
        regret = [100 * (f[name][0] / b[0] - 1) for f, b in zip(chosen, best, strict=True)]
        spent = float(np.mean([f[name][1] for f in chosen]))
        print(
            f"{name!s:38s}{np.mean(regret):7.2f}{np.median(regret):8.2f}"
            f"{np.quantile(regret, 0.9):7.2f}{spent:8.2f}"
        )


def main() -> None:
    """Train, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".finetune-data"))
    parser.add_argument("--out", type=Path, default=Path("live.jsonl"))
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--tiny", action="store_true", help="one group, on a CPU")
    options = parser.parse_args()
    if options.table is not None:
        table(options.table)
    else:
        make(options)


if __name__ == "__main__":
    main()
