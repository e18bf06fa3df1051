"""What the advisor costs inside a training, next to the steps between two evaluations.

    pytest benchmarks/test_callback.py

Steps of 100 ms and an evaluation every 50 of them are a small fine-tune; the evaluations
themselves, which cost more than the advisor, are left out of the comparison. The log is that of a
run of 20 evaluations and 200 logged train losses, near its end.
"""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

pytest.importorskip("transformers")

from transformers import TrainerControl, TrainerState, TrainingArguments

from ftadvise_trainer.callbacks.advisor import FORECAST, AdvisorCallback

STEP = 0.1  # seconds
BETWEEN = 50  # steps from one evaluation to the next
EVALS = 20


@pytest.fixture(scope="module")
def log() -> list[dict[str, Any]]:
    """Return the log of a run with an evaluation every 50 steps."""
    rows: list[dict[str, Any]] = []
    for step in range(5, EVALS * BETWEEN + 1, 5):
        where = {"step": step, "epoch": step / 200}
        loss = 1.0 + 1.2 * math.exp(-step / 200)
        rows.append({"loss": loss, "learning_rate": 1e-4, "grad_norm": 1.0, **where})
        if step % BETWEEN == 0:
            rows.append({"eval_loss": 1.1 + math.exp(-step / 200), **where})
    return rows


@pytest.fixture(scope="module")
def moment(tmp_path_factory: pytest.TempPathFactory, log: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Return arguments and state of that run at its last evaluation."""
    folder = str(tmp_path_factory.mktemp("run"))
    args = TrainingArguments(output_dir=folder, num_train_epochs=6, use_cpu=True, report_to=[])
    state = TrainerState(log_history=log, max_steps=1200, num_train_epochs=6)
    state.global_step, state.epoch = EVALS * BETWEEN, EVALS * BETWEEN / 200
    state.is_world_process_zero = True
    return args, state


@pytest.mark.benchmark(group="advisor in a training")
def test_steps_between_two_evaluations(benchmark: Any) -> None:
    """Wait as long as the steps between two evaluations take."""
    benchmark.pedantic(time.sleep, (STEP * BETWEEN,), rounds=1)


@pytest.mark.benchmark(group="advisor in a training")
def test_an_evaluation(benchmark: Any, moment: tuple[Any, Any]) -> None:
    """Forecast, and decide whether to stop, after an evaluation."""
    args, state = moment
    callback, control = AdvisorCallback(stop=True, share=math.inf), TrainerControl()
    callback.on_train_begin(args, state, control)
    logs: dict[str, Any] = {}

    def evaluated() -> None:
        logs.clear()
        logs["eval_loss"] = 1.2
        callback.on_log(args, state, control, logs=logs)
        callback.on_evaluate(args, state, control, metrics=logs)

    benchmark.pedantic(evaluated, rounds=50, warmup_rounds=2)
    assert FORECAST in logs


@pytest.mark.benchmark(group="advisor in a training")
def test_a_step_without_an_evaluation(benchmark: Any, moment: tuple[Any, Any]) -> None:
    """Pass through every event of a step that is logged."""
    args, state = moment
    callback, control = AdvisorCallback(stop=True), TrainerControl()
    callback.on_train_begin(args, state, control)

    def stepped() -> None:
        callback.on_step_begin(args, state, control)
        callback.on_pre_optimizer_step(args, state, control)
        callback.on_step_end(args, state, control)
        callback.on_log(args, state, control, logs={"loss": 1.0})

    benchmark.pedantic(stepped, rounds=200, iterations=50, warmup_rounds=2)
