"""SIGTERM and Ctrl-C reach every process of a run: it saves, its workers keep quiet, it goes on."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from killed_runs import LoseWorkerAt, SignalAt, run
from tiny_models import ragged_dataset
from tiny_runs import STEPS, config, losses, weights
from torch.utils.data import DataLoader

from ftadvise_trainer.saving.checkpoints import newest_valid
from ftadvise_trainer.workers import ObeyParent, died, obeying_parent


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(config(folder)) == 0
    return folder


# In a step, in the step before an evaluation, during one, at its end, while a checkpoint is
# written, and at the end of an epoch.
@pytest.mark.parametrize(
    ("event", "step", "number", "saved"),
    [
        ("on_substep_end", 12, signal.SIGTERM, 13),
        ("on_prediction_step", 15, signal.SIGINT, 15),
        pytest.param("on_substep_end", 14, signal.SIGTERM, 15, marks=pytest.mark.long),
        pytest.param("on_substep_end", 14, signal.SIGINT, 15, marks=pytest.mark.long),
        pytest.param("on_prediction_step", 15, signal.SIGTERM, 15, marks=pytest.mark.long),
        pytest.param("on_evaluate", 15, signal.SIGTERM, 16, marks=pytest.mark.long),
        pytest.param("on_save", 15, signal.SIGTERM, 16, marks=pytest.mark.long),
        pytest.param("on_step_begin", 0, signal.SIGTERM, 1, marks=pytest.mark.long),
        pytest.param("on_step_end", 10, signal.SIGINT, 10, marks=pytest.mark.long),
        pytest.param("on_step_end", 20, signal.SIGTERM, 20, marks=pytest.mark.long),
        pytest.param("on_step_begin", 10, signal.SIGINT, 11, marks=pytest.mark.long),
        pytest.param("on_step_begin", 39, signal.SIGTERM, 40, marks=pytest.mark.long),
    ],
)
def test_a_signal_to_the_run_and_its_workers_saves_and_the_run_goes_on_to_the_same_end(
    event: str, step: int, number: int, saved: int, uninterrupted: Path, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    stopped = run(config(tmp_path, 2), SignalAt(event, step, number), errors=str(said))
    assert (stopped, said.read_text()) == (128 + number, "")
    newest, skipped = newest_valid(tmp_path)
    assert (newest, skipped) == (tmp_path / f"checkpoint-{saved}", [])
    assert run(config(tmp_path, 2)) == 0
    assert losses(tmp_path) == losses(uninterrupted)
    assert weights(tmp_path) == weights(uninterrupted)


def test_a_run_that_is_stopped_at_its_best_evaluation_still_finds_the_best_model(
    tmp_path: Path,
) -> None:
    more: dict[str, Any] = {"learning_rate": 8e-3, "lr_scheduler_type": "constant"}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(config(whole, **more)) == 0
    _, best = min((row[3], row[0]) for row in losses(whole) if row[3] is not None)
    assert best < STEPS
    assert run(config(cut, **more), SignalAt("on_substep_end", best - 1)) == 128 + signal.SIGTERM
    assert run(config(cut, **more)) == 0
    assert losses(cut) == losses(whole)
    assert weights(cut) == weights(whole)


def test_a_worker_that_dies_of_the_signal_costs_what_was_not_saved_and_no_more(
    uninterrupted: Path, tmp_path: Path
) -> None:
    lost = LoseWorkerAt("on_substep_end", 12, signal.SIGTERM)
    assert run(config(tmp_path), lost) == 128 + signal.SIGTERM
    assert newest_valid(tmp_path) == (tmp_path / "checkpoint-10", [])
    assert run(config(tmp_path)) == 0
    assert weights(tmp_path) == weights(uninterrupted)


def test_a_worker_that_dies_without_a_signal_to_the_run_is_an_error(tmp_path: Path) -> None:
    said = tmp_path / "said"
    assert run(config(tmp_path), LoseWorkerAt("on_substep_end", 1, None), errors=str(said)) == 1
    assert "DataLoader worker (pid 7)" in said.read_text()


def ignores(worker: ForkProcess, number: int) -> bool:
    """Whether a worker is still there a while after somebody who is not its parent signals it."""
    if os.fork() == 0:
        os.kill(worker.pid or 0, number)
        os._exit(0)
    os.wait()
    worker.join(0.3)
    return worker.is_alive()


def serve(ready: Any) -> None:
    ObeyParent()(0)
    ready.set()
    time.sleep(60)


def test_a_worker_obeys_its_parent_and_nobody_else() -> None:
    context = get_context("fork")
    ready = context.Event()
    worker = context.Process(target=serve, args=(ready,), daemon=True)
    worker.start()
    assert ready.wait(30)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        assert ignores(worker, number)
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0


def test_the_worker_init_function_of_a_loader_is_still_called() -> None:
    def seed(worker: int) -> None:
        pass

    data = ragged_dataset(1)
    first: Any = DataLoader(data, num_workers=1, worker_init_fn=seed)
    loader = obeying_parent(obeying_parent(first))
    assert isinstance(loader.worker_init_fn, ObeyParent)
    assert loader.worker_init_fn.then is seed
    without: Any = DataLoader(data, num_workers=0)
    assert obeying_parent(without).worker_init_fn is None


def test_only_the_death_of_a_worker_is_told_apart_from_other_errors() -> None:
    assert died(RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated. "))
    assert not died(RuntimeError("CUDA out of memory"))
