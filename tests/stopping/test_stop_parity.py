"""Our rule against the real `transformers`: its callback, its Trainer's best metric, a real run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ftadvise.policies import replay
from ftadvise.run import Run, Series, as_floats
from ftadvise.stopping import transformers_stop

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from ftadvise.run import FloatArray
else:
    torch = pytest.importorskip("torch")

transformers: Any = pytest.importorskip("transformers")

PATIENCES = (1, 2, 3, 5)
THRESHOLDS = (0.0, 0.001, 0.01, 0.05)


@pytest.fixture(scope="module")
def args(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return arguments(tmp_path_factory.mktemp("parity"))


def arguments(folder: Path, **more: Any) -> Any:
    return transformers.TrainingArguments(
        output_dir=str(folder),
        eval_strategy="steps",
        save_strategy="no",
        metric_for_best_model="eval_loss",
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **more,
    )


def real_stop(args: Any, losses: FloatArray, patience: int, threshold: float) -> int:
    """Drive the real callback and the real best metric; return n + 1 when they never stop."""
    callback = transformers.EarlyStoppingCallback(patience, threshold)
    state, control = transformers.TrainerState(), transformers.TrainerControl()
    trainer = SimpleNamespace(args=args, state=state)
    for done, loss in enumerate(losses.tolist(), start=1):
        state.global_step = done
        metrics = {"eval_loss": loss}
        # the order of Trainer._maybe_log_save_evaluate: _evaluate, then the best metric
        callback.on_evaluate(args, state, control, metrics=metrics)
        transformers.Trainer._determine_best_metric(trainer, metrics=metrics, trial=None)
        if control.should_training_stop:
            return done
    return len(losses) + 1


def random_curve(seed: int) -> FloatArray:
    """Return a curve of one of six kinds, with ties, plateaus, drift, NaN and infinities."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    time = np.arange(n)
    kind = seed % 6
    drawn: Any  # the kinds differ in dtype
    if kind == 0:  # learning, then overfitting
        drawn = 0.5 + np.exp(-time / 4) + 0.01 * np.maximum(time - 10, 0)
    elif kind == 1:  # slow drift
        drawn = 1 - float(rng.choice([0.0005, 0.004, 0.02])) * time
    elif kind == 2:  # ties
        drawn = rng.integers(0, 5, n) / 4
    elif kind == 3:  # plateaus
        drawn = np.sort(rng.random(n))[::-1][np.sort(rng.integers(0, n, n))]
    elif kind == 4:  # noise
        drawn = rng.normal(1.0, 0.03, n)
    else:  # a random walk on a grid of the threshold
        drawn = 1 + np.cumsum(rng.integers(-2, 3, n)) * 0.01
    losses = as_floats(drawn).copy()
    if rng.random() < 0.5:
        losses += rng.normal(0, 0.005, n)
    if rng.random() < 0.5:
        holes = rng.random(n) < 0.25
        losses[holes] = rng.choice([np.nan, np.nan, np.inf, -np.inf], holes.sum())
    if rng.random() < 0.2:
        losses[0] = rng.choice([np.nan, np.inf])
    return losses


@pytest.mark.parametrize("seeds", [range(k, k + 60) for k in range(0, 600, 60)], ids=str)
def test_rule_stops_where_the_real_callback_stops(args: Any, seeds: range) -> None:
    for seed in seeds:
        losses = random_curve(seed)
        for patience in PATIENCES:
            for threshold in THRESHOLDS:
                expected = real_stop(args, losses, patience, threshold)
                assert transformers_stop(losses, patience, threshold) == expected, (
                    seed,
                    patience,
                    threshold,
                    losses.tolist(),
                )


def test_random_curves_cover_stops_and_runs_to_the_end_with_and_without_nan(args: Any) -> None:
    seen: set[tuple[bool, bool, bool]] = set()
    for seed in range(600):
        losses = random_curve(seed)
        stops = real_stop(args, losses, 3, 0.01) <= len(losses)
        seen.add((stops, bool(np.isnan(losses).any()), bool(np.isnan(losses[0]))))
    assert len(seen) == 6  # NaN first without any NaN cannot be


def test_real_callback_stops_the_drifting_run_at_its_fourth_evaluation(args: Any) -> None:
    losses = as_floats([1 - 0.004 * i for i in range(60)])
    assert real_stop(args, losses, 3, 0.01) == 4
    assert transformers_stop(losses, 3, 0.01) == 4


def test_real_callback_begins_from_infinity_after_a_first_nan(args: Any) -> None:
    for losses, expected in (([np.nan, np.nan], 2), ([np.nan, np.inf], 2), ([np.nan, 5.0], 3)):
        array = as_floats(losses)
        assert real_stop(args, array, 1, 0.0) == expected
        assert transformers_stop(array, 1, 0.0) == expected


class Line(torch.nn.Module):
    """Fits y = w x; the eval set has another slope, so eval loss falls and then rises."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: Any, labels: Any) -> dict[str, Any]:
        prediction = self.weight * x
        return {"loss": ((prediction - labels) ** 2).mean(), "logits": prediction}


@pytest.mark.parametrize(("patience", "threshold"), [(1, 0.0), (3, 0.0), (2, 0.05)])
def test_replayed_log_of_a_real_trainer_stops_at_the_step_at_which_it_stopped(
    tmp_path: Path, patience: int, threshold: float
) -> None:
    def data(slope: float) -> list[dict[str, Any]]:
        return [
            {"x": torch.tensor([x]), "labels": torch.tensor([slope * x])}
            for x in (0.5, 1.0, 1.5, 2.0)
        ]

    planned = 40
    settings = arguments(
        tmp_path,
        eval_steps=2,
        logging_steps=1,
        max_steps=planned,
        learning_rate=0.05,
        lr_scheduler_type="constant",
        per_device_train_batch_size=4,
        seed=0,
    )
    trainer = transformers.Trainer(
        model=Line(),
        args=settings,
        train_dataset=data(3.0),
        eval_dataset=data(1.0),
        callbacks=[transformers.EarlyStoppingCallback(patience, threshold)],
    )
    trainer.train()

    history: list[dict[str, float]] = trainer.state.log_history
    evals = [entry for entry in history if "eval_loss" in entry]
    stopped_at: int = trainer.state.global_step
    assert 2 * (patience + 1) <= stopped_at < planned

    def series(entries: list[dict[str, float]], key: str) -> Series:
        step, epoch, loss = (as_floats([e[k] for e in entries]) for k in ("step", "epoch", key))
        return Series(key, step, epoch, loss)

    run = Run(
        train=series([entry for entry in history if "loss" in entry], "loss"),
        eval=series(evals, "eval_loss"),
    )
    replayed = replay(run, f"transformers:patience={patience},threshold={threshold}")
    assert replayed.stopped
    assert run.eval.step[replayed.evals_spent - 1] == stopped_at
    assert replayed.evals_spent == len(evals)
    assert replayed.best_loss == trainer.state.best_metric
    # one evaluation less, and it would still be running
    shorter = Run(train=run.train, eval=run.eval.take(slice(0, len(evals) - 1)))
    assert not replay(shorter, replayed.policy).stopped
