"""Runs made from a formula, for the tests."""

from __future__ import annotations

import numpy as np

from ftadvise.run import FloatArray, LearningRates, Run, Series, Settings, as_floats
from ftadvise.schedules import Schedule


def series(key: str, epoch: FloatArray, loss: FloatArray, per_epoch: float = 100.0) -> Series:
    """Return a series with steps counted from the epochs."""
    return Series(key, as_floats(np.round(epoch * per_epoch)), as_floats(epoch), as_floats(loss))


def true_loss(epoch: FloatArray, epochs: float, rise: float, schedule: Schedule) -> FloatArray:
    """Return ``1 + 0.5 / (S1 + 0.3) + rise · S1`` of a run of `epochs` epochs."""
    progress = schedule.progress(epoch, epochs)
    return 1.0 + 0.5 / (progress + 0.3) + rise * progress


def make_run(
    epochs: float = 5.0,
    evals: int = 10,
    rise: float = 0.0,
    noise: float = 0.0,
    scale: float = 1.0,
    seed: int = 0,
    train: bool = True,
    kind: str = "linear",
    settings: Settings | None = None,
) -> Run:
    """Return a run of 100 steps an epoch whose eval loss follows `true_loss`, scattered by `noise`."""
    rng = np.random.default_rng(seed)
    schedule = Schedule(kind)
    at = np.linspace(epochs / evals, epochs, evals)
    loss = true_loss(at, epochs, rise, schedule) * (1.0 + noise * rng.standard_normal(evals))
    dense = np.linspace(epochs / 50, epochs, 50)
    falling = 0.6 + 0.5 / (schedule.progress(dense, epochs) + 0.3)
    rates = 1e-4 * schedule.rate(dense / epochs)
    steps = as_floats(dense * 100)
    return Run(
        train=series("loss", dense, scale * falling) if train else Series(),
        eval=series("eval_loss", at, scale * loss),
        lr=LearningRates("learning_rate", steps, as_floats(dense), as_floats(rates)),
        planned_epochs=epochs,
        settings=settings or Settings(),
    )


def five_numbers(scale: float = 1.0, per_epoch: int = 24) -> Run:
    """Return the five train losses of `examples/qwen`, a fine-tune of five epochs."""
    epoch = np.array([0.04, 1.68, 2.51, 4.60, 5.00])
    loss = scale * np.array([2.96, 0.13, 0.05, 0.0349, 0.0364])
    return Run(train=series("loss", epoch, loss, per_epoch))
