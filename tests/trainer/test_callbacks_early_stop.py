"""EarlyStop judges the logged history, as `ftadvise.stopping` does, and says why it stopped."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tiny_models import arguments, pad, ragged_dataset, tiny_model, weights
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)

from ftadvise.errors import UsageError
from ftadvise.stopping import cumulative_stop, rises_while_train_falls
from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.finetuner import FineTuner

NAN = float("nan")
TABLE = {
    "falls": [3.0, 2.0, 1.5, 1.2, 1.1],
    "rises": [3.0, 2.0, 2.1, 2.2, 2.3, 2.4],
    "flat": [2.0] * 6,
    "slow": [1.0 - 0.009 * i for i in range(12)],
    "zigzag": [3.0, 3.1, 2.0, 2.5, 1.9, 1.95, 1.97, 1.99, 1.0],
    "nan": [3.0, 2.0, NAN, NAN, 1.0, NAN, NAN, NAN],
    "nan first": [NAN, 3.0, 2.0, 1.0],
    "late": [1.0, 2.0, 0.5, 2.0, 0.4, 2.0, 2.0, 2.0],
}


def live(stop: EarlyStop, evals: list[float], train: list[float] | None = None) -> int:
    """Feed the losses one evaluation at a time; return where it stops, n + 1 for never."""
    state, control = TrainerState(), TrainerControl()
    for place, loss in enumerate(evals, start=1):
        if train is not None:
            row = {"loss": train[place - 1], "epoch": place - 0.5, "step": 10 * place - 5}
            state.log_history.append(row)
        metrics = {"eval_loss": loss, "epoch": float(place)}
        state.log_history.append({**metrics, "step": 10 * place})
        stop.on_evaluate(None, state, control, metrics=metrics)
        if control.should_training_stop:
            return place
    return len(evals) + 1


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("name", TABLE)
def test_it_stops_where_cumulative_stop_does(name: str, patience: int, threshold: float) -> None:
    losses = TABLE[name]
    expected = int(cumulative_stop(np.array(losses), patience, threshold))
    stop = EarlyStop(patience, threshold)
    assert live(stop, losses) == expected
    if expected <= len(losses):
        assert stop.reason == {
            "reason": "patience ran out",
            "epoch": float(expected),
            "step": 10 * expected,
            "policy": f"keras:patience={patience},threshold={threshold:g}",
        }
    else:
        assert stop.reason is None


@pytest.mark.parametrize("patience", [1, 2])
def test_it_stops_where_eval_loss_rises_while_train_loss_falls(patience: int) -> None:
    evals = [3.0, 2.0, 2.1, 1.9, 2.0, 2.1, 2.2]
    train = [3.0, 2.0, 1.0, 0.9, 0.95, 0.8, 0.7]
    expected = int(rises_while_train_falls(np.array(evals), np.array(train), patience))
    stop = EarlyStop(None, rises_patience=patience)
    assert live(stop, evals, train) == expected <= len(evals)
    assert stop.reason is not None
    assert stop.reason["reason"] == "eval loss rises while train loss falls"
    assert stop.reason["policy"] == f"rises-while-train-falls:patience={patience}"


def test_the_rule_that_fires_first_is_the_reason() -> None:
    evals, train = [3.0, 2.0, 2.1, 2.2, 2.3], [3.0, 2.0, 1.0, 0.5, 0.4]
    stop = EarlyStop(3, rises_patience=2)
    assert live(stop, evals, train) == 4
    assert stop.reason is not None
    assert stop.reason["policy"] == "rises-while-train-falls:patience=2"


def test_its_policy_is_what_replay_takes() -> None:
    from ftadvise.policies import replay
    from ftadvise_trainer.callbacks.history import run_of

    losses = TABLE["zigzag"]
    stop = EarlyStop(3, 0.01)
    place = live(stop, losses)
    assert stop.reason is not None
    history = [{"eval_loss": loss, "epoch": i, "step": i} for i, loss in enumerate(losses, 1)]
    assert replay(run_of(history), stop.reason["policy"]).stop_epoch == place


def test_slow_steady_gains_below_the_threshold_do_not_stop_it() -> None:
    """transformers' own callback stops such a run at the fourth evaluation."""
    assert live(EarlyStop(3, 0.01), TABLE["slow"]) == len(TABLE["slow"]) + 1
    theirs = EarlyStoppingCallback(3, 0.01)
    args = SimpleNamespace(metric_for_best_model="eval_loss", greater_is_better=False)
    state, control = TrainerState(), TrainerControl()
    for loss in TABLE["slow"]:
        theirs.on_evaluate(args, state, control, metrics={"eval_loss": loss})
        state.best_metric = min(loss, state.best_metric or loss)
    assert control.should_training_stop


def test_an_evaluation_that_was_redone_counts_once() -> None:
    stop, state, control = EarlyStop(2), TrainerState(), TrainerControl()
    for step, loss in ((10, 2.0), (20, 2.1), (20, 2.1), (20, 2.1)):
        state.log_history.append({"eval_loss": loss, "epoch": step / 10, "step": step})
        stop.on_evaluate(None, state, control, metrics={"eval_loss": loss})
    assert not control.should_training_stop


def test_a_missing_metric_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    stop, state, control = EarlyStop(1), TrainerState(), TrainerControl()
    with caplog.at_level(logging.WARNING, "ftadvise_trainer"):
        for _ in range(3):
            stop.on_evaluate(None, state, control, metrics={"eval_f1": 0.5})
    assert not control.should_training_stop
    assert [record.getMessage() for record in caplog.records] == [
        "early stopping cannot judge this evaluation: it has no eval_loss, only eval_f1"
    ]


def test_an_evaluation_that_was_broken_off_is_no_missing_metric(
    caplog: pytest.LogCaptureFixture,
) -> None:
    EarlyStop(1).on_evaluate(
        None, TrainerState(), TrainerControl(), metrics={"eval_interrupted": 1.0}
    )
    assert not caplog.records


def test_a_train_loss_that_was_never_logged_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "ftadvise_trainer"):
        assert live(EarlyStop(None, rises_patience=1), [1.0, 2.0, 3.0]) == 4
    assert len(caplog.records) == 1
    assert "train loss" in caplog.text


@pytest.mark.parametrize("settings", [{"patience": 0}, {"patience": 1, "threshold": -1.0}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        EarlyStop(**settings)


def trainer_of(kind: type[Trainer], folder: Path, stop: EarlyStop, **more: Any) -> Any:
    settings = {"num_train_epochs": 9, "eval_strategy": "epoch", "save_strategy": "epoch"} | more
    return kind(
        tiny_model(),
        arguments(folder, **settings),
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        eval_dataset=ragged_dataset(5, seed=1),
        callbacks=[stop],
    )


@pytest.mark.parametrize("kind", [FineTuner, Trainer])
def test_a_real_run_stops_and_a_resume_of_it_stops_at_once(
    tmp_path: Path, kind: type[Trainer]
) -> None:
    first = trainer_of(kind, tmp_path, stop := EarlyStop(2, threshold=10.0))
    first.train()
    assert first.state.global_step == 3 * 2
    assert stop.reason is not None
    assert (stop.reason["epoch"], stop.reason["step"]) == (3.0, 6)
    saved = sorted(tmp_path.glob("checkpoint-*"))
    again = trainer_of(kind, tmp_path, resumed := EarlyStop(2, threshold=10.0))
    assert resumed.verdict(first.state.log_history) == stop.reason
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert resumed.reason == stop.reason
    assert sorted(tmp_path.glob("checkpoint-*")) == saved
    evals = [row for row in again.state.log_history if "eval_loss" in row]
    assert len(evals) == 3
    for name, tensor in weights(again.model).items():
        assert torch.equal(tensor, weights(first.model)[name]), name


class BrokenOff(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Stands in for a preemption in the evaluation at one step."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.now = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.now = state.global_step == self.step

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.now:
            control.should_training_stop = True


def test_a_redone_evaluation_that_ends_the_run_is_followed_by_no_step(tmp_path: Path) -> None:
    notice = BrokenOff(6)
    cut = trainer_of(FineTuner, tmp_path, EarlyStop(2, threshold=10.0))
    cut.add_callback(notice)
    cut.interrupted = lambda: notice.now
    cut.train()
    resumed = trainer_of(FineTuner, tmp_path, stop := EarlyStop(2, 10.0), eval_on_start=True)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert stop.reason is not None
    assert stop.reason["step"] == 6
    for name, tensor in weights(resumed.model).items():
        assert torch.equal(tensor, weights(cut.model)[name]), name
    evals = [row["step"] for row in resumed.state.log_history if "eval_loss" in row]
    assert evals == [2, 4, 6]


def test_a_resume_grants_no_new_patience(tmp_path: Path) -> None:
    whole = trainer_of(FineTuner, tmp_path / "whole", EarlyStop(3, threshold=10.0))
    whole.train()
    cut = trainer_of(FineTuner, tmp_path / "cut", EarlyStop(3, threshold=10.0), max_steps=4)
    cut.train()
    resumed = trainer_of(FineTuner, tmp_path / "cut", EarlyStop(3, threshold=10.0))
    resumed.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-4"))
    assert resumed.state.global_step == whole.state.global_step == 8
    longer = trainer_of(FineTuner, tmp_path / "cut", EarlyStop(5, threshold=10.0))
    longer.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-8"))
    assert longer.state.global_step == 12  # unless somebody asks for more of it
