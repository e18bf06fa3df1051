"""`auto.json`: what a run began with, however the file was edited or damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftadvise.history import Prediction
from ftadvise_trainer.auto.choice import Choice
from ftadvise_trainer.auto.next_run import FILE
from ftadvise_trainer.auto.record import begun, close, record, recorded
from ftadvise_trainer.auto.run import Auto, settle
from ftadvise_trainer.config import Config, TrainingConfig
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.manifest import write_manifest

SETTINGS = {"num_train_epochs": 4.0, "save_total_limit": 4, "early_stopping_patience": None}
CHOICE = Choice(
    SETTINGS, dict.fromkeys(SETTINGS, "a log"), ("said",), Prediction(4.0, 1.5, 1.0, 2.0)
)


def edited(folder: Path, **changes: Any) -> None:
    record(folder, CHOICE)
    body = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(body | changes))


def with_checkpoint(folder: Path, training: dict[str, Any]) -> None:
    checkpoint = folder / "checkpoint-8"
    checkpoint.mkdir()
    write_manifest(checkpoint, step=8, settings={"training": training})


def test_a_choice_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record(tmp_path, CHOICE)
    assert recorded(tmp_path) == CHOICE
    close(tmp_path)
    assert recorded(tmp_path) == CHOICE
    assert json.loads((tmp_path / FILE).read_text())["closed"] is True


@pytest.mark.parametrize(
    "settings",
    [
        {"num_train_epochs": "4"},
        {"num_train_epochs": True},
        {"num_train_epochs": float("nan")},
        {"num_train_epochs": -1},
        {"num_train_epochs": 10**400},
        {"eval_steps": 8.5},
        {"lr_scheduler_type": "nonsense"},
        {"output_dir": "/elsewhere"},
        {"unknown": 1},
        {},
        [],
        None,
        "text",
    ],
)
def test_settings_that_do_not_fit_are_as_if_they_were_not_there(
    tmp_path: Path, settings: object
) -> None:
    edited(tmp_path, settings=settings)
    assert recorded(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"settings": {}}'])
def test_a_file_that_is_no_choice_is_as_if_it_were_not_there(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert recorded(tmp_path) is None
    close(tmp_path)
    assert (tmp_path / FILE).read_text() == text


@pytest.mark.parametrize("prediction", [[1], "x", {"epochs": "4"}, {"epochs": 4}, {"other": 1}])
def test_what_is_only_told_may_be_of_any_shape(tmp_path: Path, prediction: object) -> None:
    edited(tmp_path, prediction=prediction, lines="abc", why=[1])
    found = recorded(tmp_path)
    assert found is not None
    assert (found.settings, found.lines, found.prediction) == (SETTINGS, (), None)


def test_a_run_whose_choice_is_damaged_goes_on_with_the_settings_of_its_checkpoint(
    tmp_path: Path,
) -> None:
    with_checkpoint(tmp_path, {"num_train_epochs": 7.0, "eval_steps": 3, "seed": 1})
    (tmp_path / FILE).write_text("{")
    found = begun(tmp_path)
    assert found is not None
    assert found.settings == {"num_train_epochs": 7.0, "eval_steps": 3}
    assert "missing or damaged" in found.lines[0]


def test_a_run_without_a_checkpoint_has_not_begun(tmp_path: Path) -> None:
    record(tmp_path, CHOICE)
    assert begun(tmp_path) is None


def test_processes_but_the_first_choose_nothing_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(training=TrainingConfig(output_dir=str(tmp_path)))
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(TrainError, match="the first process has left no settings"):
        settle(Auto(output=tmp_path), config, {}, 10, resume=True)
    record(tmp_path, CHOICE)
    settled = settle(Auto(output=tmp_path), config, {}, 10, resume=False)
    assert settled.config.training.num_train_epochs == 4.0
