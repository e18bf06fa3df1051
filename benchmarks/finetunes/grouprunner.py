"""Runs the fine-tunes of one group side by side and returns what a trainer would have logged."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from engine import Setup, Stack, Steps
from optimizer import schedule
from plan import runs
from stack import initial_factors

if TYPE_CHECKING:
    from engine import How, Table
    from numpy.typing import NDArray
    from plan import Family, Group, Run
    from stack import Weights

EVAL_PAIRS = 256
Row = dict[str, Any]


class OutOfTimeError(Exception):
    """The time ended within a group; `rows` holds its families that were complete."""

    def __init__(self, rows: list[Row]) -> None:
        """Keep the rows."""
        super().__init__("out of time")
        self.rows = rows


@dataclass
class Running:
    """A run in a slot: its steps so far and its log, as transformers.Trainer would write it."""

    run: Run
    per_epoch: int
    every: int  # steps between two train losses
    total: int = 0
    warmup: int = 0
    done: int = 0
    log: list[Row] = field(default_factory=list[Row])
    since: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        """Count the steps."""
        self.total = round(self.run.epochs * self.per_epoch)
        self.warmup = math.ceil(self.run.family.warmup_ratio * self.total)

    def shares(self, at: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the share of the peak rate at these steps."""
        decay = round(self.run.hold[1] * self.per_epoch) if self.run.hold else 0
        return schedule(self.run.schedule, at, self.total, self.warmup, decay)

    def train_logs(
        self, losses: NDArray[np.float64], norms: NDArray[np.float64], rates: NDArray[np.float64]
    ) -> None:
        """Log the steps just made: the mean loss since the last log, rate and norm of the last."""
        for loss, norm, rate in zip(losses, norms, rates, strict=True):
            self.done += 1
            self.since.append(float(loss))
            if self.done % self.every == 0 or self.done == self.total:
                mean = sum(self.since) / len(self.since)
                self.add(loss=mean, learning_rate=float(rate), grad_norm=float(norm))
                self.since.clear()

    def add(self, **values: float) -> None:
        """Log values, to five significant digits, at the step reached."""
        epoch = float(f"{self.done / self.per_epoch:.6g}")
        numbers = {key: float(f"{value:.5g}") for key, value in values.items()}
        self.log.append({"epoch": epoch, "step": self.done, **numbers})


def waiting_runs(group: Group) -> list[Run]:
    """Return all runs of a group, the longest first: that packs them well."""
    return sorted((r for f in group.families for r in runs(f)), key=lambda r: -r.epochs)


def slots(group: Group) -> int:
    """Return how many models train at once: all runs take about as long as the longest."""
    todo = waiting_runs(group)
    return math.ceil(sum(run.epochs for run in todo) / todo[0].epochs)


def order(family: Family, epoch: int) -> NDArray[np.int64]:
    """Return the order of the examples in one epoch: the same for all runs of a family."""
    return np.random.default_rng([family.seed, epoch]).permutation(family.examples)


class GroupRunner:
    """The fine-tunes of one group. Slots advance together, half an epoch at a time."""

    def __init__(
        self,
        group: Group,
        bases: list[Weights],
        table: Table,
        places: dict[str, NDArray[np.int64]],
        how: How,
    ) -> None:
        """`places` says for each data set which rows of the table it has (within the length)."""
        self.group, self.bases = group, bases
        self.per_epoch = group.examples // group.batch
        answer = int((table.cuts[:, 1] - table.cuts[:, 0]).max())
        setup = Setup(
            shape=group.base.shape,
            models=slots(group),
            batch=group.batch,
            length=group.length,
            answer=min(answer, group.length - 1),
            rank=group.rank,
            dropout=group.dropout,
            longest=self.per_epoch // 2,
        )
        self.stack = Stack(setup, table, how)
        self.slots: list[Running | None] = [None] * setup.models
        self.waiting = waiting_runs(group)
        self.finished: list[Running] = []
        self.train_rows: dict[int, NDArray[np.int64]] = {}
        self.eval_rows: dict[int, NDArray[np.int64]] = {}
        for family in group.families:
            rows = places[family.data_set]
            self.eval_rows[family.seed] = rows[:EVAL_PAIRS]
            chosen = np.random.default_rng(family.seed).permutation(rows[EVAL_PAIRS:])
            self.train_rows[family.seed] = chosen[: family.examples]
        self.first_losses = self._first_losses()

    def _weights(self, family: Family) -> Weights:
        weights = self.bases[family.variant]
        if self.group.rank:
            factors = initial_factors(self.group.base.shape, self.group.rank, family.seed)
            weights = weights | factors
        return weights

    def _first_losses(self) -> dict[int, float]:
        """Return each family's eval loss before training."""
        losses: dict[int, float] = {}
        families, count = self.group.families, len(self.slots)
        for begin in range(0, len(families), count):
            part = families[begin : begin + count]
            for slot, family in enumerate(part):
                self.stack.load(slot, self._weights(family))
            rows = [self.eval_rows[f.seed] for f in part]
            rows += [rows[0]] * (count - len(part))
            found = self.stack.evaluate(np.stack(rows))
            losses |= {f.seed: float(x) for f, x in zip(part, found, strict=False)}
        return losses

    def _fill(self) -> None:
        for slot, running in enumerate(self.slots):
            if running is None and self.waiting:
                run = self.waiting.pop(0)
                self.stack.load(slot, self._weights(run.family))
                every = max(1, round(self.per_epoch / self.group.logs_per_epoch))
                new = Running(run, self.per_epoch, every)
                new.add(eval_loss=self.first_losses[run.family.seed])
                self.slots[slot] = new

    def _half(self) -> None:
        """Train every slot for half an epoch, evaluate, and free the slots that have finished."""
        count, models = self.per_epoch // 2, len(self.slots)
        rows = np.zeros((count, models, self.group.batch), np.int64)
        zeros = np.zeros((count, models))
        steps = Steps(rows, zeros.copy(), zeros.copy(), zeros + 0.9, zeros.astype(np.int64))
        held_back = np.zeros((models, EVAL_PAIRS), np.int64)
        for slot, running in enumerate(self.slots):
            if running is not None:
                family = running.run.family
                at = running.done + np.arange(count)
                examples = self.train_rows[family.seed][order(family, at[0] // self.per_epoch)]
                inside = at % self.per_epoch
                rows[:, slot] = examples.reshape(self.per_epoch, -1)[inside]
                steps.rate[:, slot] = family.rate * running.shares(at)
                steps.decay[:, slot] = family.weight_decay
                steps.beta2[:, slot] = family.beta2
                steps.done[:, slot] = at
                held_back[slot] = self.eval_rows[family.seed]
        held_back[[r is None for r in self.slots]] = next(iter(self.eval_rows.values()))
        losses, norms = self.stack.train(steps)
        evals = self.stack.evaluate(held_back)
        for slot, running in enumerate(self.slots):
            if running is not None:
                running.train_logs(losses[:, slot], norms[:, slot], steps.rate[:, slot])
                running.add(eval_loss=evals[slot])
                if running.done == running.total:
                    self.finished.append(running)
                    self.slots[slot] = None

    def run(self, deadline: float) -> list[Row]:
        """Run everything; return one row for each run, families together, shortest run first.

        Raises:
            OutOfTimeError: With the families that were complete at the deadline.
        """
        self._fill()
        while any(self.slots):
            if time.monotonic() > deadline:
                raise OutOfTimeError(self._rows())
            self._half()
            self._fill()
        return self._rows()

    def _rows(self) -> list[Row]:
        rows: list[Row] = []
        for family in self.group.families:
            mine = [r for r in self.finished if r.run.family is family]
            if len(mine) == len(runs(family)):
                mine.sort(key=lambda r: (r.run.hold is not None, r.run.epochs))
                rows += [self._row(running) for running in mine]
        return rows

    def _row(self, running: Running) -> Row:
        run, group = running.run, self.group
        family, shape = run.family, group.base.shape
        kind = "constant" if run.schedule == "constant" else family.schedule
        return {
            "family": [family.data_set, family.examples, family.rate, kind, family.seed],
            "num_train_epochs": run.epochs,
            "max_steps": running.total,
            "wsd": list(run.hold) if run.hold else None,
            "width": shape.width,
            "layers": shape.layers,
            "heads": shape.heads,
            "pretraining_tokens": group.base.tokens // (4 if family.variant else 1),
            "batch_size": group.batch,
            "lora_rank": group.rank,
            "dropout": group.dropout,
            "weight_decay": family.weight_decay,
            "adam_beta2": family.beta2,
            "warmup_steps": running.warmup,
            "max_length": group.length,
            "log_history": running.log,
        }
