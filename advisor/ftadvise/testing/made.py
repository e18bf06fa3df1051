"""Runs that the checks try a plugin on: curves whose truth is known, and odd ones of every kind."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from ftadvise.run import FloatArray, LearningRates, Run, Series, Settings, Source, as_floats
from ftadvise.schedules import Schedule

PER_EPOCH = 100.0
_KINDS = ("linear", "cosine", "constant")
_SHAPES = ("falling", "turning", "constant", "random", "blown", "steps")


def true_loss(epoch: FloatArray, epochs: float, rise: float, kind: str) -> FloatArray:
    """Return ``1 + 0.5 / (S1 + 0.3) + rise · S1`` of a run of `epochs` epochs."""
    progress = Schedule(kind).progress(epoch, epochs)
    return 1.0 + 0.5 / (progress + 0.3) + rise * progress


def known_run(
    epochs: float = 5.0,
    evals: int = 20,
    rise: float = 0.0,
    kind: str = "linear",
    noise: float = 0.005,
    seed: int = 0,
) -> Run:
    """Return a run whose eval loss is `true_loss` with noise, its rates in the log.

    Args:
        epochs: Its length.
        evals: Evaluations, evenly spaced.
        rise: How much loss an epoch of overfitting adds.
        kind: The learning-rate schedule.
        noise: Relative scatter of an evaluation.
        seed: Of the scatter.
    """
    chance = np.random.default_rng(seed)
    at = np.linspace(epochs / evals, epochs, evals)
    loss = true_loss(at, epochs, rise, kind) * (1.0 + noise * chance.standard_normal(evals))
    dense = np.linspace(epochs / 50, epochs, 50)
    train = 0.6 + 0.5 / (Schedule(kind).progress(dense, epochs) + 0.3)
    return Run(
        train=_series("loss", dense, train),
        eval=_series("eval_loss", at, loss),
        lr=_rates(kind, dense, epochs),
        planned_epochs=epochs,
    )


@functools.cache
def odd_runs(count: int, holes: bool) -> tuple[Run, ...]:
    """Return runs of every kind that logs have: short, empty, noisy, diverged, without epochs.

    Args:
        count: How many.
        holes: Whether single epochs and steps may be unknown, and not only all of them.
    """
    return tuple(_odd_run(np.random.default_rng([7, number]), holes) for number in range(count))


def _odd_run(chance: np.random.Generator, holes: bool) -> Run:
    epochs = float(chance.choice([0.4, 1.0, 3.0, 5.0, 40.0]))
    scale = float(chance.choice([1.0, 1.0, 1.0, 1e-6, 1e6, -1.0, 0.0]))
    sizes = int(chance.integers(0, 60)), int(chance.integers(0, 30))
    sizes = [sizes, sizes, sizes, (0, sizes[1]), (sizes[0], 0), (1, 1)][int(chance.integers(6))]
    unknown = chance.choice(["none", "none", "epoch", "step", "both"])
    train, held_out = (
        _odd_series(chance, key, size, epochs, scale, str(unknown), holes)
        for key, size in zip(("loss", "eval_loss"), sizes, strict=True)
    )
    kind, planned = chance.choice(_KINDS), chance.choice([epochs, 2.0 * epochs])
    dense = np.linspace(epochs / 40, epochs, 40)
    return Run(
        train=train,
        eval=held_out,
        lr=_rates(str(kind), dense, float(planned)) if chance.random() < 0.6 else LearningRates(),
        planned_epochs=float(planned) if chance.random() < 0.6 else None,
        settings=_odd_settings(chance),
        source=Source("made", "made", others=("other",) if chance.random() < 0.1 else ()),
        nonfinite={"loss": 1} if np.isnan(train.loss).any() else {},
        restarts=int(chance.choice([0, 0, 0, 2])),
        notes=("Something was assumed.",) if chance.random() < 0.2 else (),
    )


def _odd_series(
    chance: np.random.Generator,
    key: str,
    size: int,
    epochs: float,
    scale: float,
    unknown: str,
    holes: bool,
) -> Series:
    if not size:
        return Series()
    epoch = np.linspace(epochs / size, epochs, size)
    share = epoch / epochs
    shape = str(chance.choice(_SHAPES))
    loss = {
        "falling": 0.5 + 1.0 / (share + 0.1),
        "turning": 1.0 + (share - 0.5) ** 2,
        "constant": np.ones(size),
        "random": np.exp(chance.standard_normal(size)),
        "blown": np.exp(8.0 * share**4),
        "steps": 2.0 - 0.5 * np.round(4.0 * share) / 4.0,
    }[shape]
    loss = scale * loss * (1.0 + float(chance.choice([0.0, 0.01])) * chance.standard_normal(size))
    gaps = chance.random(size) < float(
        chance.choice([0.0, 0.0, 0.2, 1.0], p=[0.4, 0.3, 0.25, 0.05])
    )
    series = _series(key, epoch, np.where(gaps, np.nan, loss))
    nothing = as_floats([np.nan] * size)
    if holes and chance.random() < 0.2:
        series = replace(series, epoch=_with_holes(chance, series.epoch))
    if unknown in ("epoch", "both"):
        series = replace(series, epoch=nothing)
    return replace(series, step=nothing) if unknown in ("step", "both") else series


def _with_holes(chance: np.random.Generator, values: FloatArray) -> FloatArray:
    return as_floats(np.where(chance.random(values.size) < 0.3, np.nan, values))


def _odd_settings(chance: np.random.Generator) -> Settings:
    if chance.random() < 0.4:
        return Settings()
    return Settings(
        num_train_epochs=float(chance.choice([1.0, 5.0, 100.0])),
        eval_steps=float(chance.choice([0.1, 1.0, 50.0, 1e6])),
        save_steps=float(chance.choice([1.0, 70.0, 500.0])),
        save_total_limit=int(chance.choice([1, 3])),
        load_best_model_at_end=bool(chance.random() < 0.5),
        early_stopping_patience=int(chance.choice([1, 3, 20])),
        early_stopping_threshold=float(chance.choice([0.0, 0.001, 1.0])),
        lr_scheduler_type=str(chance.choice(_KINDS)),
    )


def _series(key: str, epoch: FloatArray, loss: FloatArray) -> Series:
    return Series(key, as_floats(np.round(epoch * PER_EPOCH)), as_floats(epoch), as_floats(loss))


def _rates(kind: str, epoch: FloatArray, planned: float) -> LearningRates:
    rate = 1e-4 * Schedule(kind).rate(epoch / planned)
    steps = as_floats(np.round(epoch * PER_EPOCH))
    return LearningRates("learning_rate", steps, as_floats(epoch), as_floats(rate))
