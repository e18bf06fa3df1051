"""A run that is killed and started again ends as if nothing had happened, to the last bit."""

from __future__ import annotations

import io
import json
import shutil
import signal
from pathlib import Path

import pytest
from killed_runs import KillAt, run
from tiny_runs import STEPS, config, losses, weights

from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.checkpoints import newest_valid
from ftadvise_trainer.training import train


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(config(folder)) == 0
    return folder


def killed_and_resumed(folder: Path, moment: int, workers: int) -> None:
    assert run(config(folder, workers), KillAt(moment)) == -signal.SIGKILL
    assert run(config(folder, workers)) == 0


# Mid-accumulation in the first epoch, just after a save, and at the end of an epoch.
@pytest.mark.parametrize(("moment", "workers"), [(3, 0), (31, 2), (60, 0)])
def test_a_run_killed_at_a_step_ends_with_the_same_weights_and_losses(
    moment: int, workers: int, uninterrupted: Path, tmp_path: Path
) -> None:
    killed_and_resumed(tmp_path, moment, workers)
    assert losses(tmp_path) == losses(uninterrupted)
    assert weights(tmp_path) == weights(uninterrupted)


# In each of the 40 steps: between its two micro-batches, and at its end.
@pytest.mark.long
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("moment", range(1, 2 * STEPS + 1))
def test_a_run_killed_at_any_step_ends_with_the_same_weights_and_losses(
    moment: int, workers: int, uninterrupted: Path, tmp_path: Path
) -> None:
    killed_and_resumed(tmp_path, moment, workers)
    assert losses(tmp_path) == losses(uninterrupted)
    assert weights(tmp_path) == weights(uninterrupted)


def test_a_run_killed_twice_still_finds_the_best_model_in_final(
    uninterrupted: Path, tmp_path: Path
) -> None:
    for moment in (21, 55):
        assert run(config(tmp_path), KillAt(moment)) == -signal.SIGKILL
    assert run(config(tmp_path)) == 0
    assert weights(tmp_path) == weights(uninterrupted)


def test_a_run_with_a_batch_size_killed_in_an_epoch_ends_with_the_same_weights_and_losses(
    tmp_path: Path,
) -> None:
    more = {"batch_size": 12, "gradient_accumulation_steps": 1, "num_train_epochs": 2.0}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(config(whole, 2, **more)) == 0
    assert run(config(cut, 2, **more), KillAt(2 * 17)) == -signal.SIGKILL
    # Another size of micro-batches, which count no more.
    assert run(config(cut, 2, **more, per_device_train_batch_size=3)) == 0
    assert losses(cut) == losses(whole)
    assert weights(cut) == weights(whole)


def test_a_damaged_newest_checkpoint_is_passed_over_and_said(
    uninterrupted: Path, tmp_path: Path
) -> None:
    assert run(config(tmp_path), KillAt(2 * 18)) == -signal.SIGKILL
    newest, _ = newest_valid(tmp_path)
    assert newest is not None
    model = newest / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    stream = io.StringIO()
    train(config(tmp_path), stream=stream)
    assert f"passed over {newest.name}" in stream.getvalue()
    assert weights(tmp_path) == weights(uninterrupted)


def test_settings_that_would_bend_the_schedule_are_refused_on_resume(tmp_path: Path) -> None:
    assert run(config(tmp_path), KillAt(2 * 12)) == -signal.SIGKILL
    with pytest.raises(TrainError, match="learning_rate") as caught:
        train(config(tmp_path, learning_rate=1e-3), stream=io.StringIO())
    assert caught.value.code == "FT506"


def test_a_new_cadence_is_applied_on_resume_and_said(tmp_path: Path) -> None:
    assert run(config(tmp_path), KillAt(2 * 12)) == -signal.SIGKILL
    stream = io.StringIO()
    train(config(tmp_path, eval_steps=4, save_steps=4), stream=stream)
    assert "training.eval_steps: 5 -> 4 (applied" in stream.getvalue()
    history = json.loads((tmp_path / "training_metrics.json").read_text())["history"]
    late = [
        row["step"] for row in history if row.get("eval_loss") is not None and row["step"] > 10
    ]
    assert late[:3] == [12, 16, 20]


def test_without_resume_earlier_checkpoints_are_set_aside_and_the_run_starts_anew(
    uninterrupted: Path, tmp_path: Path
) -> None:
    assert run(config(tmp_path), KillAt(2 * 12)) == -signal.SIGKILL
    train(config(tmp_path), resume=False, stream=io.StringIO())
    assert weights(tmp_path) == weights(uninterrupted)


def test_an_evaluation_before_the_first_step_is_not_made_again_on_a_resume(tmp_path: Path) -> None:
    settings = config(tmp_path, num_train_epochs=1.0, more={"eval_on_start": True})
    train(settings, stream=io.StringIO())
    whole = losses(tmp_path)
    assert [step for step, *_, evaluated, _, _ in whole if evaluated is not None] == [0, 5, 10]

    shutil.rmtree(tmp_path / "checkpoint-10")
    train(settings, stream=io.StringIO())
    assert losses(tmp_path) == whole
