"""The loss curves of the multi-power law's repository, and the schedules that made them.

A folder holds `csv_25`, `csv_100`, ...: one model size each, with one file for each schedule, its
columns step, learning rate and loss. The schedules are those of arXiv:2503.12811: 2,160 steps of
warm-up to 3e-4, then the shape that the file name says, to 3e-5 at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftadvise.run import FloatArray

WARMUP, END_RATE = 2160, 0.1  # steps; of the peak
DECAY_FROM, TWO_STAGE_FROM, TWO_STAGE_STEPS = 20000, 8000, 16000
COSINES = ("cosine_24000", "cosine_72000")
DECAYS = ("wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_9", "wsdcon_18")
CONSTANTS = ("constant_24000", "constant_72000")


@dataclass(frozen=True, eq=False)
class Curve:
    """One run.

    Attributes:
        name: Name of the file, which says the schedule.
        step: Steps with a logged loss, shape (n,).
        loss: Train loss there, shape (n,).
        rate: Rate over its peak at every step from 0, warm-up included, shape (steps + 1,).
    """

    name: str
    step: FloatArray
    loss: FloatArray
    rate: FloatArray

    def between(self, first: float, last: float, stride: int = 1) -> Curve:
        """Return the points with `first` < step <= `last`, each `stride`-th of them."""
        inside = np.flatnonzero((self.step > first) & (self.step <= last))[::stride]
        return Curve(self.name, self.step[inside], self.loss[inside], self.rate)


def schedule(name: str) -> FloatArray:
    """Return the rate over its peak at every step, for the name of a file."""
    kind, *numbers = name.split("_")
    steps = TWO_STAGE_STEPS if kind == "wsdcon" else int(numbers[-1])
    step = np.arange(steps + 1.0)
    after = np.clip((step - WARMUP) / (steps - WARMUP), 0.0, 1.0)
    decayed = np.clip((step - DECAY_FROM) / max(steps - DECAY_FROM, 1), 0.0, 1.0)
    shapes: dict[str, FloatArray] = {
        "constant": np.ones_like(step),
        "cosine": END_RATE + 0.5 * (1.0 - END_RATE) * (1.0 + np.cos(np.pi * after)),
        "wsd": END_RATE**decayed,
        "wsdld": 1.0 - (1.0 - END_RATE) * decayed,
        "wsdcon": np.where(step < TWO_STAGE_FROM, 1.0, int(numbers[0]) / 30.0),
    }
    return np.minimum(shapes[kind], step / (WARMUP - 1.0))


def read_size(folder: Path) -> dict[str, Curve]:
    """Return the curves of one model size by name."""
    found: dict[str, Curve] = {}
    for name in (*COSINES, *DECAYS, *CONSTANTS):
        table = np.genfromtxt(folder / f"{name}.csv", delimiter=",", skip_header=1)
        rate = schedule(name)
        step = table[:, 0]
        wrong = np.abs(rate[step.astype(int)] - table[:, 1] / 3e-4).max()
        if wrong > 1e-6:
            raise SystemExit(f"{folder / name}.csv: not the schedule of its name, off by {wrong}")
        found[name] = Curve(name, step, table[:, 2], rate)
    return found
