"""A learning rate that is held until the end is near, and survives what happens in between."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from killed_runs import KillAt, SignalAt, run
from tiny_models import arguments, equal_dataset, pad, tiny_model
from tiny_runs import TINY, config, losses, weights

from ftadvise.annealing import DECAY_EPOCHS
from ftadvise.readers.json_logs.setup import ENDED_BY_ITSELF
from ftadvise_trainer.auto.schedule import HoldThenDecay, decay_steps, hold_then_decay, rule_of
from ftadvise_trainer.callbacks.anneal import AnnealOnOnset
from ftadvise_trainer.config import Config
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.training import train

CAP = 12.0  # epochs of 10 steps
DECAY = round(10 * DECAY_EPOCHS)


def auto(folder: Path, **training: Any) -> Config:
    settings: dict[str, Any] = {
        "lr_scheduler_type": "auto",
        "num_train_epochs": CAP,
        "learning_rate": 3e-3,
    }
    return config(folder, **(settings | training))


def rates(folder: Path) -> dict[int, float]:
    """Return the learning rate that each step was made with."""
    history = json.loads((folder / "training_metrics.json").read_text())["history"]
    return {row["step"]: row["learning_rate"] for row in history}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(auto(folder)) == 0
    return folder


@pytest.fixture(scope="module")
def began(uninterrupted: Path) -> int:
    """The step at which the decay of that run began."""
    return max(step for step, rate in rates(uninterrupted).items() if rate == 3e-3) - 1


def test_the_rate_warms_up_holds_and_decays_to_zero_from_where_it_is_told_to() -> None:
    rule = HoldThenDecay(warmup=2, total=20, decay=4)
    assert [rule(step) for step in range(5)] == [0.0, 0.5, 1.0, 1.0, 1.0]
    rule.begin(6, "because")
    assert [rule(step) for step in range(5, 12)] == [1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert (rule.start, rule.end, rule.why) == (6, 10, "because")


def test_the_decay_ends_with_the_last_step_when_nobody_asks_for_it() -> None:
    rule = HoldThenDecay(warmup=0, total=20, decay=4)
    assert [rule(step) for step in (15, 16, 17, 18, 19, 20)] == [1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    assert rule.end == 20


def test_a_decay_begins_once_after_the_warm_up_and_in_time_for_the_end() -> None:
    early, late = HoldThenDecay(5, 20, 4), HoldThenDecay(5, 20, 4)
    early.begin(2, "first")
    early.begin(9, "second")
    late.begin(19, "late")
    assert (early.start, early.why, late.start) == (5, "first", 16)


@pytest.mark.parametrize(
    ("warmup", "total", "decay"), [(50, 10, 5), (0, 3, 50), (5, 6, 9), (0, 1, 1)]
)
def test_warm_up_and_decay_fit_into_any_run(warmup: int, total: int, decay: int) -> None:
    rule = HoldThenDecay(warmup, total, decay)
    assert rule.end == total
    assert rule.warmup + rule.decay <= total
    assert rule(total) == 0.0
    assert max(rule(step) for step in range(total)) <= 1.0


def test_a_saved_scheduler_knows_when_its_decay_began(tmp_path: Path) -> None:
    def made() -> Any:
        parameter = torch.nn.Parameter(torch.zeros(1))
        groups: list[dict[str, Any]] = [{"params": [parameter]}, {"params": []}]
        optimizer = torch.optim.SGD(groups, lr=0.1)
        return hold_then_decay(optimizer, 20, decay_steps=4)

    scheduler, other = made(), made()
    rule = rule_of(scheduler)
    assert rule is not None
    rule.begin(3, "because")
    torch.save(scheduler.state_dict(), tmp_path / "scheduler.pt")
    other.load_state_dict(torch.load(tmp_path / "scheduler.pt", weights_only=True))
    assert rule_of(other) == rule
    assert rule_of(torch.optim.lr_scheduler.LambdaLR(scheduler.optimizer, lambda _: 1.0)) is None


def test_a_run_ends_with_its_decay_long_before_the_cap(uninterrupted: Path, began: int) -> None:
    made = rates(uninterrupted)
    assert max(made) == began + DECAY < 10 * CAP
    decay = [made[step] for step in range(began + 1, began + DECAY + 1)]
    assert decay == pytest.approx([3e-3 * (1 - i / DECAY) for i in range(DECAY)])
    document = json.loads((uninterrupted / "training_metrics.json").read_text())
    assert document["stopped"]["policy"] == ENDED_BY_ITSELF
    assert document["stopped"]["step"] == began + DECAY
    assert document["history"][-1]["eval_loss"] is not None
    assert document["checkpoints"][-1]["path"].endswith(f"checkpoint-{began + DECAY}")


# In the hold; where the decay begins, before the evaluation that decides; in the decay, between
# two saves and just after one.
@pytest.mark.parametrize(("after", "substep"), [(-8, 1), (0, 0), (3, 0), (6, 1)])
def test_a_run_killed_before_or_in_the_decay_ends_with_the_same_weights_and_losses(
    after: int, substep: int, uninterrupted: Path, began: int, tmp_path: Path
) -> None:
    moment = 2 * (began + after) + substep
    assert run(auto(tmp_path), KillAt(moment)) == -signal.SIGKILL
    assert run(auto(tmp_path)) == 0
    assert losses(tmp_path) == losses(uninterrupted)
    assert weights(tmp_path) == weights(uninterrupted)


@pytest.mark.parametrize("event", ["on_prediction_step", "on_evaluate"])
def test_a_run_preempted_at_the_evaluation_that_decides_ends_with_the_same_weights(
    event: str, uninterrupted: Path, began: int, tmp_path: Path
) -> None:
    assert run(auto(tmp_path), SignalAt(event, began)) == 128 + signal.SIGTERM
    assert run(auto(tmp_path)) == 0
    assert weights(tmp_path) == weights(uninterrupted)
    assert losses(tmp_path) == losses(uninterrupted)


@pytest.mark.long
@pytest.mark.parametrize("moment", range(1, 81))
def test_a_run_killed_at_any_step_ends_with_the_same_weights_and_losses(
    moment: int, uninterrupted: Path, tmp_path: Path
) -> None:
    assert run(auto(tmp_path), KillAt(moment)) in (-signal.SIGKILL, 0)
    assert run(auto(tmp_path)) == 0
    assert losses(tmp_path) == losses(uninterrupted)
    assert weights(tmp_path) == weights(uninterrupted)


def test_a_run_whose_decay_has_ended_is_not_trained_on(
    uninterrupted: Path, tmp_path: Path
) -> None:
    assert run(auto(tmp_path)) == 0
    stream = io.StringIO()
    outcome = train(auto(tmp_path), stream=stream)
    assert outcome.stopped is not None
    assert outcome.stopped["policy"] == ENDED_BY_ITSELF
    assert weights(tmp_path) == weights(uninterrupted)
    assert losses(tmp_path) == losses(uninterrupted)


def test_evaluations_once_an_epoch_end_the_run_with_one_evaluation_and_one_save(
    tmp_path: Path,
) -> None:
    by_epoch = {"eval_strategy": "epoch", "eval_steps": None}
    by_epoch |= {"save_strategy": "epoch", "save_steps": None}
    assert run(auto(tmp_path, **by_epoch)) == 0
    history = json.loads((tmp_path / "training_metrics.json").read_text())["history"]
    state = json.loads((tmp_path / "trainer_state.json").read_text())["log_history"]
    evals = [row["step"] for row in state if "eval_loss" in row]
    assert evals == sorted(set(evals))
    assert history[-1]["step"] == evals[-1] < 10 * CAP
    assert (tmp_path / f"checkpoint-{evals[-1]}").is_dir()


def test_a_cap_in_steps_counts_the_epochs_of_the_decay_by_the_examples(tmp_path: Path) -> None:
    args = arguments(
        tmp_path,
        max_steps=50,
        per_device_train_batch_size=4,
        warmup_steps=3,
        lr_scheduler_kwargs={"decay_epochs": 2},
    )
    data = equal_dataset(24)
    trainer = FineTuner(
        tiny_model(), args, data_collator=pad, train_dataset=data, auto_schedule=True
    )
    trainer.create_optimizer_and_scheduler(50)
    assert rule_of(trainer.lr_scheduler) == HoldThenDecay(warmup=3, total=50, decay=12)


def test_an_error_in_the_decision_is_logged_once_and_the_rate_decays_before_the_cap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*args: object) -> None:
        raise ArithmeticError("no idea")

    monkeypatch.setattr("ftadvise_trainer.callbacks.anneal.start_decay", fails)
    data = equal_dataset(16)
    args = arguments(tmp_path, num_train_epochs=4, eval_strategy="steps", eval_steps=1)
    trainer = FineTuner(
        tiny_model(),
        args,
        data_collator=pad,
        train_dataset=data,
        eval_dataset=data,
        auto_schedule=True,
        callbacks=[AnnealOnOnset()],
    )
    trainer.train()
    assert trainer.state.global_step == 8
    made = [row["learning_rate"] for row in trainer.state.log_history if "learning_rate" in row]
    assert made == [1e-2] * 5 + [7.5e-3, 5e-3, 2.5e-3]
    assert sum("no decision" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("training.lr_scheduler_type=autos", "must be one of auto, linear, .*did you mean"),
        ("training.early_stopping_patience=3", "would stop the run before its decay"),
        ("training.stop_when_eval_rises_while_train_falls=2", "before its decay"),
        ("training.eval_strategy=no", "auto needs evaluations"),
        ("training.lr_scheduler_kwargs={decay_epochs: 0}", "decay_epochs: NUMBER"),
        ("training.lr_scheduler_kwargs={num_cycles: 2}", "decay_epochs: NUMBER"),
        ("training.lr_scheduler_kwargs={decay_epochs: true}", "decay_epochs: NUMBER"),
    ],
)
def test_settings_that_do_not_go_with_it_are_refused(setting: str, said: str) -> None:
    wanted = ["training.lr_scheduler_type=auto", "training.early_stopping_patience=null", setting]
    with pytest.raises(TrainError, match=said):
        load_config(TINY / "training.yaml", wanted)


def test_the_length_of_the_decay_can_be_set() -> None:
    wanted = ["training.lr_scheduler_type=auto", "training.early_stopping_patience=null"]
    settings = [*wanted, "training.lr_scheduler_kwargs={decay_epochs: 0.5}"]
    loaded = load_config(TINY / "training.yaml", settings)
    assert loaded.training.more["lr_scheduler_kwargs"] == {"decay_epochs": 0.5}


@pytest.mark.parametrize(("processes", "each"), [(1, 12), (5, 3), (8, 2)])
def test_with_a_batch_size_the_decay_is_as_long_on_any_number_of_processes(
    processes: int, each: int
) -> None:
    args = SimpleNamespace(
        lr_scheduler_kwargs={"decay_epochs": 2},
        num_train_epochs=3.0,
        max_steps=500,
        train_batch_size=each,
        world_size=processes,
        gradient_accumulation_steps=1,
    )
    assert decay_steps(args, 500, range(960), batch_size=12) == 160
