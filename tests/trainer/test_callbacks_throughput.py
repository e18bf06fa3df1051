"""Throughput tells how fast the steps are, and nothing of what is not a step enters."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import arguments, pad, ragged_dataset, tiny_model
from transformers import Trainer, TrainerControl, TrainerState

import ftadvise
from ftadvise_trainer.callbacks import throughput as room
from ftadvise_trainer.callbacks.idle import Idle
from ftadvise_trainer.callbacks.metrics import MetricsWriter
from ftadvise_trainer.callbacks.progress import Progress, told_speed
from ftadvise_trainer.callbacks.throughput import WARM_UP, Throughput
from ftadvise_trainer.speed import flops


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Run:
    """A training whose steps take as long as they are told to."""

    def __init__(self, clock: Clock, throughput: Throughput, model: Any = None) -> None:
        self.clock, self.throughput = clock, throughput
        self.state, self.control = TrainerState(), TrainerControl()
        args = SimpleNamespace(device=torch.device("cpu"), world_size=1)
        self._call("on_train_begin", args=args, model=model)

    def _call(self, event: str, args: Any = None, **more: Any) -> None:
        getattr(self.throughput, event)(args, self.state, self.control, **more)

    def step(self, wait: float = 0.25, work: float = 0.75, **counts: Any) -> None:
        self.clock.now += wait
        self._call("on_step_begin")
        self.throughput.packed(**{"tokens": 90, "padding": 10, "rows": 1, "squares": 900} | counts)
        self.clock.now += work
        self._call("on_step_end")

    def log(self) -> dict[str, Any]:
        logs = {"loss": 1.0}
        self.state.log_history.append(dict(logs))
        self._call("on_log", logs=logs)
        return logs

    def other(self, event: str, seconds: float) -> None:
        self.clock.now += seconds
        self._call(event)


def test_rates_are_over_the_steps_between_two_logs_and_the_first_are_left_out(
    clock: Clock,
) -> None:
    run = Run(clock, measured := Throughput())
    for _ in range(WARM_UP):
        run.step(work=1000.0)
    assert measured.summary() is None
    run.step()
    run.step()
    logs = run.log()
    assert logs["tokens_per_second"] == 90.0
    assert logs["padding_share"] == 0.1
    assert logs["data_wait_share"] == 0.25
    assert "mfu" not in logs
    assert run.state.log_history[-1] == logs
    run.step(work=2.75)
    assert run.log()["tokens_per_second"] == 30.0
    summary = measured.summary()
    assert summary is not None
    assert (summary["steps"], summary["seconds_per_step"]) == (3, 5 / 3)
    assert summary["tokens_per_second"] == 270 / 5


def test_evaluations_and_saves_are_no_part_of_the_time(clock: Clock) -> None:
    run = Run(clock, measured := Throughput())
    for _ in range(WARM_UP):
        run.step()
    run.step()
    assert run.log()["tokens_per_second"] == 90.0
    run.other("on_evaluate", 500.0)
    run.other("on_save", 500.0)
    run.step()
    logs = run.log()
    assert logs["tokens_per_second"] == 90.0
    assert logs["data_wait_share"] == 0.25
    run.step()  # its loss is not logged before the evaluation: nobody knows when it was over
    run.other("on_evaluate", 500.0)
    run.step()
    run.log()
    summary = measured.summary()
    assert summary is not None
    assert summary["steps"] == 3


def test_mfu_counts_the_flops_of_the_model_on_the_peak_of_the_device(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    found = flops.of_model(model)
    assert found is not None
    monkeypatch.setattr(flops, "peak", lambda _name: 1e9)
    for fused in (False, True):
        run = Run(clock, measured := Throughput(fused=fused), model)
        for _ in range(WARM_UP + 1):
            run.step(trained=45)
        logs = run.log()
        each = found.per_token(head_share=0.5 if fused else 1.0)
        assert logs["mfu"] == pytest.approx(90 * each / 1e9, rel=1e-3)
        summary = measured.summary()
        assert summary is not None
        with_attention = found.per_token(10.0, 0.5 if fused else 1.0)
        assert summary["mfu_with_attention"] == pytest.approx(90 * with_attention / 1e9)


def trained(folder: Path, measured: Throughput, *more: Any, **settings: Any) -> Trainer:
    how = {"num_train_epochs": 4, "eval_strategy": "epoch", "logging_steps": 1}
    trainer = Trainer(
        tiny_model(),
        arguments(folder, **(how | settings)),
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        eval_dataset=ragged_dataset(5, seed=1),
        callbacks=[measured, *more],
    )
    trainer.train()
    return trainer


def test_in_the_trainer_of_transformers_tokens_are_those_that_it_counts(tmp_path: Path) -> None:
    measured = Throughput()
    trainer = trained(tmp_path, measured, include_num_input_tokens_seen="non_padding")
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert ["tokens_per_second" in row for row in rows] == [n > WARM_UP for n in range(1, 9)]
    summary = measured.summary()
    assert summary is not None
    counted = [row["num_input_tokens_seen"] for row in rows]
    tokens = summary["tokens_per_second"] * summary["seconds_per_step"] * summary["steps"]
    assert tokens == pytest.approx(counted[-1] - counted[WARM_UP - 1])
    assert summary["padding_share"] is None
    assert 0 < summary["data_wait_share"] < 1


def test_without_a_count_of_tokens_there_is_no_rate_and_no_error(tmp_path: Path) -> None:
    measured = Throughput()
    trained(tmp_path, measured)
    summary = measured.summary()
    assert summary is not None
    assert summary["tokens_per_second"] is None
    assert summary["seconds_per_step"] > 0


def test_the_metrics_and_the_progress_show_it_and_analyze_still_reads_them(tmp_path: Path) -> None:
    measured, stream = Throughput(), io.StringIO()
    path = tmp_path / "training_metrics.json"
    trained(
        tmp_path,
        measured,
        MetricsWriter(path, {"config": {}}, speed=measured.summary),
        Progress(stream, path, every=0.0, speed=measured.summary),
        include_num_input_tokens_seen="non_padding",
    )
    found = json.loads(path.read_text())
    assert found["speed"]["steps"] == 8 - WARM_UP
    assert found["speed"]["device"] == "CPU"
    assert found["history"][-1]["tokens_per_second"] > 0
    assert found["history"][-1]["data_wait_share"] > 0
    run = ftadvise.read(path)
    assert run.train.key == "loss"
    assert run.eval.loss.size == 4
    assert ftadvise.advise(run).recommendation.num_train_epochs >= 1
    lines = stream.getvalue().splitlines()
    assert lines[-2].startswith("speed: ")
    assert " tokens/s" in lines[-2]


def test_what_slows_a_run_down_is_said_where_it_is_worth_a_word() -> None:
    logs = {"tokens_per_second": 51234.5, "mfu": 0.412, "padding_share": 0.02}
    assert told_speed(logs) == ["51,234 tokens/s", "MFU 41.2 %"]
    assert told_speed(logs | {"padding_share": 0.61, "data_wait_share": 0.3})[2:] == [
        "padding 61 %",
        "waiting for data 30 %",
    ]
    assert told_speed({"train_tokens_per_second": 7.0}) == ["7 tokens/s"]


class Event:
    """An event of a GPU whose work is done at a time of its own."""

    def __init__(self, at: float | None) -> None:
        self.at = at

    def query(self) -> bool:
        return self.at is not None

    def elapsed_time(self, other: Event) -> float:
        assert self.at is not None
        assert other.at is not None
        return 1000.0 * (other.at - self.at)


def test_on_a_gpu_waiting_is_what_the_device_had_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Three gaps: the device was still busy, it had run dry, and one it has not come by yet.
    events = iter([Event(5.0), Event(5.0), Event(7.0), Event(7.5), Event(None), Event(None)])
    idle = Idle(torch.device("cuda"))
    monkeypatch.setattr(idle, "_event", lambda: next(events))
    for _ in range(3):
        idle.begins()
        idle.ends()
    assert idle.seconds() == 0.5
    idle.forget()
    assert idle.seconds() == 0.0


def test_the_device_is_waited_for_once_and_never_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Any] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _device: 3 * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(room, "Idle", lambda _device=None: Idle())
    run = Run(clock, measured := Throughput())
    args = SimpleNamespace(device=torch.device("cuda", 0), world_size=1)
    measured.on_train_begin(args, run.state, run.control, model=tiny_model())
    for _ in range(3 * WARM_UP):
        run.step()
        run.log()
    assert len(waited) == 1
    summary = measured.summary()
    assert summary is not None
    assert summary["peak_memory_bytes"] == 3 * 10**9
    assert summary["peak_flops"] == 989e12
    assert summary["mfu"] > 0


def test_with_several_processes_tokens_and_devices_add_up_and_waits_are_averaged(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(tensor: Any) -> None:
        tensor *= 2

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", twice)
    monkeypatch.setattr(flops, "peak", lambda _name: 1e9)
    run = Run(clock, measured := Throughput(), model := tiny_model())
    args = SimpleNamespace(device=torch.device("cpu"), world_size=2)
    measured.on_train_begin(args, run.state, run.control, model=model)
    for _ in range(WARM_UP + 1):
        run.step()
    logs = run.log()
    found = flops.of_model(model)
    assert found is not None
    assert logs["tokens_per_second"] == 180.0
    assert logs["data_wait_share"] == 0.25
    assert logs["mfu"] == pytest.approx(90 * found.per_token() / 1e9, rel=1e-3)


def test_the_gpus_of_dataparallel_count_in_the_share_of_their_peak() -> None:
    run = SimpleNamespace(num_input_tokens_seen=0)
    for gpus in (0, 2):
        measured = Throughput()
        args = SimpleNamespace(device=torch.device("cpu"), world_size=1, n_gpu=gpus)
        measured.on_train_begin(args, run, None, model=tiny_model())
        measured.packed(tokens=90, padding=0, rows=1, squares=900)
        for _ in range(WARM_UP + 1):
            measured.on_step_end(args, run, None)
        measured.on_log(
            args, SimpleNamespace(**vars(run), log_history=[]), None, logs={"loss": 1.0}
        )
        summary = measured.summary()
        assert summary is not None
        assert summary["devices"] == max(gpus, 1)
