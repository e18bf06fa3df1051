"""A run that is killed and started again ends as if nothing had happened, to the last bit."""

from __future__ import annotations

import hashlib
import io
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killed_runs import KillAt, run

from ftadvise_trainer.checkpoints import newest_valid
from ftadvise_trainer.config import Config
from ftadvise_trainer.config_file import load_config
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.training import train

TINY = Path(__file__).parent.parent.parent / "examples" / "tiny" / "training.yaml"
STEPS = 40  # 4 epochs of 10 optimizer steps of 2 x 6 examples


def config(folder: Path, workers: int = 0, **training: Any) -> Config:
    loaded = load_config(TINY, [f"training.output_dir={folder}"])
    settings = replace(
        loaded.training,
        num_train_epochs=4.0,
        per_device_train_batch_size=6,
        gradient_accumulation_steps=2,
        eval_strategy="steps",
        eval_steps=5,
        save_strategy="steps",
        save_steps=5,
        logging_steps=1,
        early_stopping_patience=None,
        more={"dataloader_num_workers": workers},
    )
    return replace(loaded, training=replace(settings, **training))


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "final" / "model.safetensors").read_bytes()).hexdigest()


def losses(folder: Path) -> list[tuple[Any, ...]]:
    history = json.loads((folder / "training_metrics.json").read_text())["history"]
    keys = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")
    return [tuple(row.get(key) for key in keys) for row in history]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(config(folder)) == 0
    return folder


def killed_and_resumed(folder: Path, moment: int, workers: int) -> None:
    assert run(config(folder, workers), KillAt(moment)) == -signal.SIGKILL
    assert run(config(folder, workers)) == 0


# Mid-accumulation in the first epoch, just after a save, mid-epoch, and at the end of an epoch.
@pytest.mark.parametrize(("moment", "workers"), [(3, 0), (34, 0), (60, 0)])
def test_a_run_killed_at_a_step_ends_with_the_same_weights_and_losses(
    moment: int, workers: int, uninterrupted: Path, tmp_path: Path
) -> None:
    killed_and_resumed(tmp_path, moment, workers)
    assert losses(tmp_path) == losses(uninterrupted)
    assert weights(tmp_path) == weights(uninterrupted)


@pytest.mark.long
@pytest.mark.parametrize(
    ("moment", "workers"),
    [(m, 0) for m in range(1, 2 * STEPS + 1, 2)] + [(m, 2) for m in (3, 20, 41, 60)],
)
def test_a_run_killed_at_any_step_ends_with_the_same_weights_and_losses(
    moment: int, workers: int, uninterrupted: Path, tmp_path: Path
) -> None:
    killed_and_resumed(tmp_path, moment + (moment // 2) % 2, workers)
    assert losses(tmp_path) == losses(uninterrupted)
    assert weights(tmp_path) == weights(uninterrupted)


def test_a_run_killed_twice_still_finds_the_best_model_in_final(
    uninterrupted: Path, tmp_path: Path
) -> None:
    for moment in (21, 55):
        assert run(config(tmp_path), KillAt(moment)) == -signal.SIGKILL
    assert run(config(tmp_path)) == 0
    assert weights(tmp_path) == weights(uninterrupted)


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
