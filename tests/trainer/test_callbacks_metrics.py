"""MetricsWriter leaves a whole file after every evaluation, which ftadvise reads."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from forked import fork_server, run_script
from tiny_models import arguments, pad, ragged_dataset, tiny_model
from transformers import Trainer, TrainerControl, TrainerState

import ftadvise
from ftadvise_trainer.callbacks import metrics
from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.callbacks.metrics import MetricsWriter, rows_of, strict
from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner

HEADER = {
    "model": {"name": "tiny", "family": "llama"},
    "data": {"fingerprint": "0" * 64},
    "config": {"training": {"num_train_epochs": 4, "early_stopping_patience": 2}},
    "config_hash": "1" * 64,
    "versions": {"ftadvise": "0.1.0"},
}


def strictly(path: Path) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def run(
    folder: Path, kind: type[Trainer] = FineTuner, resume: str | None = None, **more: Any
) -> Any:
    stop = EarlyStop(2, threshold=more.pop("threshold", 0.0))
    kept = [{"path": str(folder / "checkpoint-2"), "epoch": 1.0, "eval_loss": 4.0}]
    writer = MetricsWriter(folder / "training_metrics.json", HEADER, [stop], lambda: kept)
    settings = {
        "num_train_epochs": 4,
        "eval_strategy": "epoch",
        "include_num_input_tokens_seen": "non_padding",
    }
    trainer = kind(
        tiny_model(),
        arguments(folder, **(settings | more)),
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        eval_dataset=ragged_dataset(5, seed=1),
        callbacks=[stop, writer],
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.parametrize("kind", [FineTuner, Trainer])
def test_it_has_what_the_schema_asks_for(tmp_path: Path, kind: type[Trainer]) -> None:
    trainer = run(tmp_path, kind)
    found = strictly(tmp_path / "training_metrics.json")
    assert found["schema"] == "ftadvise.metrics/1"
    assert {key: found[key] for key in HEADER} == HEADER
    assert list(found) == ["schema", *HEADER, "best", "stopped", "checkpoints", "history"]
    logged = trainer.state.log_history
    evals = [(row["step"], row["epoch"], row["eval_loss"]) for row in logged if "eval_loss" in row]
    step, epoch, loss = min(evals, key=lambda row: row[2])
    assert found["best"] == {"eval_loss": loss, "epoch": epoch, "step": step, "checkpoint": None}
    assert found["stopped"] == {"reason": "planned end", "epoch": 4.0, "step": 8, "policy": None}
    assert found["checkpoints"][0]["epoch"] == 1.0
    assert [row["step"] for row in found["history"]] == list(range(1, 9))
    for row in found["history"]:
        assert list(row) == [
            "step",
            "epoch",
            "loss",
            "eval_loss",
            "learning_rate",
            "grad_norm",
            "tokens",
            "tokens_per_second",
        ]
        assert (row["eval_loss"] is None) == (row["step"] % 2 == 1)
        assert row["loss"] > 0 < row["grad_norm"]
    tokens = sum(len(row["input_ids"]) for row in ragged_dataset(16))
    assert found["history"][-1]["tokens"] == 4 * tokens


@pytest.mark.parametrize(
    "name",
    [
        "training_metrics.json",
        "trainer_state.json",
    ],
)
def test_ftadvise_reads_it(tmp_path: Path, name: str) -> None:
    trainer = run(tmp_path)
    found = ftadvise.read(tmp_path / name)
    logged = trainer.state.log_history
    assert found.eval.loss.tolist() == [row["eval_loss"] for row in logged if "eval_loss" in row]
    assert found.eval.epoch.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert found.eval.step.tolist() == [2.0, 4.0, 6.0, 8.0]
    assert found.train.loss.tolist() == [row["loss"] for row in logged if "loss" in row]
    assert found.steps_per_epoch == 2.0


def test_ftadvise_gives_advice_on_it(tmp_path: Path) -> None:
    run(tmp_path)
    found = ftadvise.read(tmp_path / "training_metrics.json")
    assert found.planned_epochs == 4.0
    assert found.settings.early_stopping_patience == 2
    assert ftadvise.advise(found).recommendation.num_train_epochs >= 1


def test_the_state_beside_it_is_what_transformers_reads(tmp_path: Path) -> None:
    trainer = run(tmp_path)
    state = TrainerState.load_from_json(str(tmp_path / "trainer_state.json"))
    assert state.log_history == trainer.state.log_history
    assert state.global_step == 8


def test_why_it_stopped_is_in_it(tmp_path: Path) -> None:
    run(tmp_path, threshold=10.0)
    assert strictly(tmp_path / "training_metrics.json")["stopped"] == {
        "reason": "patience ran out",
        "epoch": 3.0,
        "step": 6,
        "policy": "keras:patience=2,threshold=10",
    }


def test_the_history_survives_a_resume(tmp_path: Path) -> None:
    flat: dict[str, Any] = {"lr_scheduler_type": "constant"}
    run(tmp_path / "whole", **flat)
    run(tmp_path / "cut", save_strategy="steps", save_steps=3, max_steps=3, **flat)
    (tmp_path / "cut" / "training_metrics.json").unlink()
    run(tmp_path / "cut", resume=str(tmp_path / "cut" / "checkpoint-3"), **flat)
    whole, cut = (
        [
            {key: value for key, value in row.items() if key != "tokens_per_second"}
            for row in strictly(tmp_path / name / "training_metrics.json")["history"]
        ]
        for name in ("whole", "cut")
    )
    assert cut == whole


def test_the_best_names_its_checkpoint(tmp_path: Path) -> None:
    kept = [{"path": "out/checkpoint-2", "epoch": 1.0, "eval_loss": 4.0}]
    writer = MetricsWriter(tmp_path / "m.json", {}, (), lambda: kept)
    state = TrainerState()
    state.log_history = [{"eval_loss": 4.0, "epoch": 1.0, "step": 2}]
    assert writer.document(state)["best"]["checkpoint"] == "out/checkpoint-2"
    state.log_history = [{"eval_loss": 4.0, "epoch": 1.0, "step": 12}]
    assert writer.document(state)["best"]["checkpoint"] is None


def test_what_is_not_finite_is_null_and_never_the_best(tmp_path: Path) -> None:
    state, writer = TrainerState(), MetricsWriter(tmp_path / "m.json", {"x": np.float32("nan")})
    losses = (math.nan, 3.0, -math.inf, math.inf)
    state.log_history = [
        {"eval_loss": x, "epoch": i, "step": i} for i, x in enumerate(losses, start=1)
    ]
    writer.write(state)
    found = strictly(tmp_path / "m.json")
    assert [row["eval_loss"] for row in found["history"]] == [None, 3.0, None, None]
    assert found["best"]["eval_loss"] == 3.0
    assert found["x"] is None


def test_values_become_plain_json() -> None:
    value = {1: [np.float64(2.5), np.int64(3), (True, None)], "path": Path("a/b")}
    assert strict(value) == {"1": [2.5, 3, [True, None]], "path": "a/b"}


def test_a_train_log_and_an_evaluation_at_one_step_are_one_row() -> None:
    rows = rows_of([{"loss": 2.0, "step": 4}, {"eval_loss": 3.0, "step": 4}, {"train_loss": 1.0}])
    assert [(row["loss"], row["eval_loss"]) for row in rows] == [(2.0, 3.0)]


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path / "m.json", {})
    state = TrainerState(is_world_process_zero=False)
    writer.on_log(None, state, TrainerControl(), logs={"loss": 1.0})
    writer.on_evaluate(None, state, TrainerControl())
    assert not list(tmp_path.iterdir())


def test_plain_logs_are_not_written_when_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write takes a second here, and there are ten logs a second."""
    clock = 1000.0
    written: list[float] = []

    def slow(path: Path, data: bytes) -> None:
        nonlocal clock
        clock += 1.0
        written.append(clock)

    monkeypatch.setattr(metrics, "write_atomically", slow)
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    writer, state = MetricsWriter(tmp_path / "m.json", {}), TrainerState()
    for _ in range(500):
        writer.on_log(None, state, TrainerControl(), logs={"loss": 1.0})
        clock += 0.1
    assert len(written) == 3  # at the first log, and 20 and 40 seconds later
    writer.on_log(None, state, TrainerControl(), logs={"eval_loss": 1.0})
    writer.on_evaluate(None, state, TrainerControl())
    assert len(written) == 5


def test_a_folder_that_cannot_be_written_to_is_an_error_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, state = MetricsWriter(tmp_path / "m.json", {}), TrainerState()
    writer.write(state)
    before = (tmp_path / "m.json").read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    state.log_history = [{"loss": 1.0, "epoch": 0.1, "step": 1}]
    with pytest.raises(TrainError, match="No space left on device") as caught:
        writer.write(state)
    assert (caught.value.code, caught.value.exit_code) == ("FT504", 3)
    assert (tmp_path / "m.json").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "trainer_state.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from tiny_models import arguments, pad, ragged_dataset, tiny_model
from transformers import TrainerCallback
from ftadvise_trainer.callbacks.metrics import MetricsWriter
from ftadvise_trainer.finetuner import FineTuner

class Kill(TrainerCallback):
    def on_evaluate(self, args, state, control, **kwargs):
        if state.epoch == 3.0:
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
FineTuner(
    tiny_model(),
    arguments(folder, num_train_epochs=9, eval_strategy="epoch"),
    data_collator=pad,
    train_dataset=ragged_dataset(16),
    eval_dataset=ragged_dataset(5),
    callbacks=[MetricsWriter(folder / "training_metrics.json", {}), Kill()],
).train()
"""


def test_a_kill_right_after_an_evaluation_leaves_that_evaluation(tmp_path: Path) -> None:
    script, said = tmp_path / "killed.py", tmp_path / "said"
    script.write_text(KILLED)
    given = (str(script), [str(tmp_path)], str(said), dict[str, str]())
    process = fork_server().Process(target=run_script, args=given)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, said.read_text()[-2000:]
    assert ftadvise.read(tmp_path / "training_metrics.json").eval.epoch.tolist() == [1.0, 2.0, 3.0]
    assert len(strictly(tmp_path / "training_metrics.json")["history"]) == 6
    assert ftadvise.read(tmp_path / "trainer_state.json").eval.epoch.tolist() == [1.0, 2.0, 3.0]


def test_a_loss_that_is_not_finite_is_written_down_before_the_run_fails(tmp_path: Path) -> None:
    model, guard = tiny_model(), NonFiniteGuard()
    calls = 0

    def spoil(module: Any, inputs: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        return output | {"loss": output["loss"] * math.nan} if calls == 3 else output

    model.register_forward_hook(spoil)
    trainer = FineTuner(
        model,
        arguments(tmp_path, num_train_epochs=4),
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        callbacks=[guard, MetricsWriter(tmp_path / "m.json", {}, [guard])],
    )
    with pytest.raises(TrainError, match="step 3: loss not finite"):
        trainer.train()
    found = strictly(tmp_path / "m.json")
    assert found["stopped"]["reason"] == "loss not finite"
    assert found["stopped"]["step"] == 3
    assert [row["step"] for row in found["history"]] == [1, 2]
