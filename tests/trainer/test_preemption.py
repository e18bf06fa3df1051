from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from made_ranks import run_ranks
from tiny_models import arguments, pad, ragged_dataset, tiny_model, weights
from transformers import Trainer, TrainerCallback

from ftadvise_trainer.callbacks.best_k import BestK
from ftadvise_trainer.callbacks.preemption import Preemption
from ftadvise_trainer.evaluation import needs_eval
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.saving.checkpoints import newest_valid, read_manifest

ROOT = Path(__file__).resolve().parents[2]


class CountSaves(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Remembers the steps that were saved."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.steps.append(state.global_step)


class SignalAt(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Sends a signal to this process at one event of one step."""

    def __init__(self, event: str, step: int, number: int = signal.SIGTERM) -> None:
        self.step, self.number, self.sent = step, number, False

        def send(args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == step and not self.sent:
                self.sent = True
                os.kill(os.getpid(), number)

        setattr(self, event, send)


def with_dropout(model: Any) -> Any:
    """Make the weights depend on every random number that is drawn in training."""
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.2
    return model


def trainer(
    folder: Path, *callbacks: TrainerCallback, kind: type[Trainer] = Trainer, **more: Any
) -> Trainer:
    """Return a trainer of 8 steps, 4 to an epoch, two micro-batches each, that saves no step."""
    settings: dict[str, Any] = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2,
    }
    return kind(
        model=with_dropout(tiny_model()),
        args=arguments(folder, **(settings | more)),
        train_dataset=ragged_dataset(8),
        eval_dataset=ragged_dataset(6),
        data_collator=pad,
        callbacks=list(callbacks),
    )


def steps(folder: Path) -> list[int]:
    return sorted(int(p.name.rpartition("-")[2]) for p in folder.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_signal_saves_at_the_next_step_boundary_and_stops(
    tmp_path: Path, number: int, exit_code: int
) -> None:
    preemption = Preemption()
    made = trainer(tmp_path, SignalAt("on_step_begin", 2, number), preemption, BestK())
    made.train()
    assert made.state.global_step == 3
    assert steps(tmp_path) == [3]
    assert (preemption.signal, preemption.exit_code) == (number, exit_code)
    assert preemption.reason is not None
    assert preemption.reason["reason"] == f"preempted ({signal.Signals(number).name})"
    assert (preemption.reason["step"], preemption.reason["epoch"]) == (3, 0.75)


def test_a_signal_in_the_middle_of_accumulation_waits_for_the_whole_step(tmp_path: Path) -> None:
    preemption = Preemption()
    made = trainer(tmp_path, SignalAt("on_substep_end", 2), preemption, BestK())
    made.train()
    assert steps(tmp_path) == [3]


@pytest.mark.parametrize("strategy", ["no", "steps", "epoch"])
@pytest.mark.parametrize("at", [0, 1, 2, 3, 5])
def test_a_preempted_run_that_goes_on_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, strategy: str, at: int
) -> None:
    """Stopped before, at and after an evaluation, and at the end of an epoch (step 4)."""
    more: dict[str, Any] = {"save_strategy": strategy, "save_steps": 2}
    if strategy != "no":
        more |= {"eval_strategy": strategy, "eval_steps": 2}
    whole = trainer(tmp_path / "whole", Preemption(), BestK(9), kind=FineTuner, **more)
    whole.train()

    out = tmp_path / "cut"
    preemption = Preemption()
    saves = CountSaves()
    callbacks = (SignalAt("on_step_begin", at), preemption, BestK(9), saves)
    cut = trainer(out, *callbacks, kind=FineTuner, **more)
    cut.train()
    assert saves.steps.count(at + 1) == 1
    assert cut.state.global_step == at + 1
    found, skipped = newest_valid(out)
    assert (found, skipped) == (out / f"checkpoint-{at + 1}", [])
    assert [
        row for row in cut.state.log_history if row.get("eval_loss") and row["step"] > at
    ] == []

    owed = needs_eval(cut.state.log_history)
    assert owed == (
        (strategy == "steps" and (at + 1) % 2 == 0) or (strategy == "epoch" and at == 3)
    )
    rest = trainer(out, Preemption(), BestK(9), kind=FineTuner, **more, eval_on_start=owed)
    rest.train(resume_from_checkpoint=str(found))
    assert whole.model is not None
    assert rest.model is not None
    for name, value in weights(whole.model).items():
        assert torch.equal(value, weights(rest.model)[name]), name

    def losses(made: Trainer, key: str) -> dict[float, float]:
        return {row["step"]: row[key] for row in made.state.log_history if key in row}

    assert losses(rest, "loss") == losses(whole, "loss")
    assert losses(rest, "eval_loss") == losses(whole, "eval_loss")


@pytest.mark.parametrize("event", ["on_step_begin", "on_prediction_step"])
@pytest.mark.parametrize(("strategy", "at"), [("steps", 1), ("steps", 3), ("epoch", 3)])
def test_a_learning_rate_that_follows_the_eval_loss_gets_its_evaluation_before_the_save(
    tmp_path: Path, strategy: str, at: int, event: str
) -> None:
    more: dict[str, Any] = {
        "eval_strategy": strategy,
        "eval_steps": 2,
        "lr_scheduler_type": "reduce_lr_on_plateau",
        "lr_scheduler_kwargs": {"patience": 0, "threshold": 1.0},  # every evaluation is a bad one
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "per_device_eval_batch_size": 1,
    }
    whole = trainer(tmp_path / "whole", BestK(9), kind=FineTuner, **more)
    whole.train()
    assert len({row["learning_rate"] for row in whole.state.log_history if "loss" in row}) > 1

    out = tmp_path / "cut"
    preemption = Preemption()
    sent = SignalAt(event, at + (event == "on_prediction_step"))
    cut: Any = trainer(out, sent, preemption, BestK(9), kind=FineTuner, **more)
    cut.interrupted = preemption.interrupted
    cut.train()
    assert steps(out)[-1] == at + 1  # BestK saves at every new best
    assert not needs_eval(cut.state.log_history)
    rest = trainer(out, BestK(9), kind=FineTuner, **more)
    rest.train(resume_from_checkpoint=str(out / f"checkpoint-{at + 1}"))
    for key in ("learning_rate", "eval_loss"):
        values = [[r[key] for r in t.state.log_history if key in r] for t in (whole, rest)]
        assert values[0] == values[1]


def test_a_loss_that_is_logged_by_epoch_is_in_the_checkpoint_of_its_last_step(
    tmp_path: Path,
) -> None:
    more: dict[str, Any] = {"logging_strategy": "epoch", "save_strategy": "steps", "save_steps": 4}
    trainer(tmp_path, SignalAt("on_step_begin", 3), Preemption(), BestK(), **more).train()
    state = json.loads((tmp_path / "checkpoint-4/trainer_state.json").read_text())
    assert [row["step"] for row in state["log_history"] if "loss" in row] == [4]


def test_a_signal_during_an_evaluation_saves_right_after_it(tmp_path: Path) -> None:
    preemption = Preemption()
    sender = SignalAt("on_prediction_step", 2)
    made = trainer(tmp_path, sender, preemption, BestK(), eval_strategy="steps", eval_steps=2)
    made.train()
    assert steps(tmp_path) == [2]
    assert made.state.global_step == 2


@pytest.mark.parametrize("metric", [None, "eval_loss", "loss"])
def test_an_evaluation_that_polls_is_broken_off(tmp_path: Path, metric: str | None) -> None:
    preemption = Preemption()
    made = FineTuner(
        model=tiny_model(),
        args=arguments(
            tmp_path,
            max_steps=4,
            eval_strategy="steps",
            eval_steps=2,
            per_device_eval_batch_size=1,
            metric_for_best_model=metric,
            greater_is_better=False,
        ),
        train_dataset=ragged_dataset(8),
        eval_dataset=ragged_dataset(6),
        data_collator=pad,
        callbacks=[SignalAt("on_prediction_step", 2), preemption, BestK()],
        interrupted=preemption.interrupted,
    )
    made.train()
    assert steps(tmp_path) == [2]
    assert needs_eval(made.state.log_history)
    assert not any("eval_loss" in row for row in made.state.log_history)


def test_the_previous_handlers_are_back_after_the_training(tmp_path: Path) -> None:
    calls: list[int] = []

    def own(number: int, frame: object) -> None:
        calls.append(number)

    before = signal.signal(signal.SIGTERM, own)
    of_ctrl_c = signal.getsignal(signal.SIGINT)  # none in a shell's background job
    try:
        trainer(tmp_path, Preemption(), max_steps=1).train()
        assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGINT) is of_ctrl_c
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_context_manager_gives_them_back_when_the_training_raises(tmp_path: Path) -> None:
    class Broken(TrainerCallback):  # type: ignore[misc]  # as above
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            raise ZeroDivisionError

    preemption = Preemption()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), preemption:
        trainer(tmp_path, preemption, Broken()).train()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_before_the_first_step_counts_inside_the_context_manager(tmp_path: Path) -> None:
    preemption = Preemption()
    with preemption:
        os.kill(os.getpid(), signal.SIGTERM)
        made = trainer(tmp_path, preemption, BestK())
        made.train()
    assert steps(tmp_path) == [1]


def test_outside_the_main_thread_it_warns_and_the_training_goes_on(tmp_path: Path) -> None:
    seen: list[Any] = []

    def run() -> None:
        made = trainer(tmp_path, Preemption(), max_steps=1)
        with pytest.warns(RuntimeWarning, match="main thread"):
            made.train()
        seen.append(made.state.global_step)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [1]


def test_the_run_goes_on_when_no_signal_comes(tmp_path: Path) -> None:
    preemption = Preemption()
    made = trainer(tmp_path, preemption, max_steps=3)
    made.train()
    assert (made.state.global_step, preemption.reason, preemption.exit_code) == (3, None, None)


RANK = """
import os, signal, sys, time
from pathlib import Path
import torch
from tiny_models import arguments, pad, ragged_dataset, tiny_model
from transformers import Trainer, TrainerCallback
from ftadvise_trainer.callbacks.best_k import BestK
from ftadvise_trainer.callbacks.preemption import Preemption

class Send(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if os.environ["RANK"] == "1" and state.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

if os.environ["RANK"] == "1":  # this rank is late with its part of the checkpoint
    save = torch.save
    torch.save = lambda *args, **kwargs: (time.sleep(1), save(*args, **kwargs))

preemption = Preemption()
made = Trainer(
    model=tiny_model(), args=arguments(sys.argv[1], max_steps=6, ddp_backend="gloo"),
    train_dataset=ragged_dataset(24), data_collator=pad, callbacks=[Send(), preemption, BestK()],
)
made.train()
Path(sys.argv[1], f"rank-{os.environ['RANK']}").write_text(
    f"{made.state.global_step} {preemption.exit_code}")
"""


def test_a_signal_to_one_rank_stops_all_of_them_at_the_same_step(tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    run_ranks(script, tmp_path)
    assert [(tmp_path / f"rank-{n}").read_text() for n in range(2)] == ["3 143", "3 143"]
    found, skipped = newest_valid(tmp_path)
    assert (found, skipped) == (tmp_path / "checkpoint-3", [])
    manifest = read_manifest(tmp_path / "checkpoint-3")
    assert manifest is not None
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= manifest.files.keys()


STUCK = """
import os, sys, threading, time
sys.path[:0] = sys.argv[2:]
from ftadvise_trainer.callbacks.preemption import Preemption
with Preemption():
    print("ready", flush=True)
    if sys.argv[1] == "stuck":
        # A call that neither returns nor lets Python run its signal handlers.
        lock = threading.Lock(); lock.acquire()
        import ctypes
        mutex = ctypes.create_string_buffer(256)
        libc = ctypes.CDLL(None)
        libc.pthread_mutex_lock(mutex); libc.pthread_mutex_lock(mutex)
    try:
        while True:
            time.sleep(0.05)
    finally:
        if sys.argv[1] == "slow":
            while True:
                try:
                    time.sleep(60)
                except BaseException:
                    pass
"""


@pytest.mark.parametrize(
    ("how", "number"),
    [
        ("stuck", signal.SIGTERM),
        pytest.param("slow", signal.SIGINT, marks=pytest.mark.long),
        pytest.param("idle", signal.SIGINT, marks=pytest.mark.long),
        pytest.param("idle", signal.SIGTERM, marks=pytest.mark.long),
        pytest.param("slow", signal.SIGTERM, marks=pytest.mark.long),
        pytest.param("stuck", signal.SIGINT, marks=pytest.mark.long),
    ],
)
def test_the_second_signal_ends_the_process_within_two_seconds(how: str, number: int) -> None:
    roots = [str(ROOT / "advisor"), str(ROOT / "trainer")]
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, how, *roots],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k != "TORCHELASTIC_RUN_ID"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    time.sleep(0.5)
    assert process.poll() is None  # the first one is only noted
    process.send_signal(number)
    start = time.monotonic()
    status = process.wait(timeout=10)
    assert time.monotonic() - start < 2.5  # 2 s, and half a second for a busy machine
    assert status in (-number, 128 + number)
    process.stdout.close()
