"""A file called after a loss holds losses, where nothing in it says what its numbers are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, value: Any, name: str) -> Path:
    path = folder / name
    path.write_text(json.dumps(value))
    return path


def test_lists_of_train_and_eval_in_a_file_called_loss(tmp_path: Path) -> None:
    value = {"train": [4, 2, 1], "val": [5, 3, 2.5], "config": {"lr": 0.1}}
    run = read(written(tmp_path, value, "loss_history.json"))
    assert (run.train.key, run.eval.key) == ("train", "val")
    assert (run.train.loss.tolist(), run.eval.loss.tolist()) == ([4, 2, 1], [5, 3, 2.5])
    assert any("By the name of the file" in note for note in run.notes)


def test_a_list_of_numbers_in_a_file_called_loss(tmp_path: Path) -> None:
    run = read(written(tmp_path, [4, 2, 1], "train_losses.json"))
    assert (run.train.key, run.train.loss.tolist()) == ("train_losses", [4, 2, 1])
    run = read(written(tmp_path, [4, 2, 1], "val_losses.json"))
    assert (run.train.key, run.eval.loss.tolist()) == (None, [4, 2, 1])


@pytest.mark.parametrize(
    "value",
    [
        [[100, 4], [200, 2], [300, 1]],
        [{"step": 100, "value": 4}, {"step": 200, "value": 2}, {"step": 300, "value": 1}],
    ],
)
def test_steps_and_values_in_a_file_called_loss(tmp_path: Path, value: Any) -> None:
    run = read(written(tmp_path, value, "eval_loss.json"))
    assert (run.eval.step.tolist(), run.eval.loss.tolist()) == ([100, 200, 300], [4, 2, 1])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"train": [0.5, 0.75], "val": [0.5, 0.625]}, "history.json"),
        ({"train": [0.5, 0.75], "val": [0.5, 0.625]}, "accuracy.json"),
        ({"train_acc": [0.5, 0.75]}, "losses.json"),
        ([4, 2, 1], "numbers.json"),
        (["a", "b"], "losses.json"),
        ([[4.5, 2, 1], [5, 3, 2.5]], "losses.json"),
    ],
)
def test_nothing_is_guessed_of_other_files(tmp_path: Path, value: Any, name: str) -> None:
    with pytest.raises(LogError) as caught:
        read(written(tmp_path, value, name))
    assert caught.value.code in ("FT405", "FT406")


def test_names_in_the_file_go_before_its_own(tmp_path: Path) -> None:
    value = {"train": [4, 2, 1], "val_loss": [3, 2.5, 2]}
    run = read(written(tmp_path, value, "losses.json"))
    assert (run.train.key, run.eval.key) == (None, "val_loss")
    assert not any("By the name" in note for note in run.notes)


@pytest.mark.parametrize("name", ["losses.json", "history.json"])
def test_rows_of_three_numbers_say_not_which_is_the_loss(tmp_path: Path, name: str) -> None:
    rows = [[10, 4, 5], [20, 2, 3], [30, 1, 2.5]]
    for value in (rows, {"losses": rows}):
        with pytest.raises(LogError):
            read(written(tmp_path, value, name))


def test_losses_of_three_batches_per_epoch_are_a_curve(tmp_path: Path) -> None:
    value = {"losses": [[4.5, 4, 3], [2.5, 2, 2.25], [1, 1.5, 1]]}
    run = read(written(tmp_path, value, "history.json"))
    assert run.train.loss.tolist() == [4.5, 4, 3, 2.5, 2, 2.25, 1, 1.5, 1]
    assert run.train.epoch[-1] == 3
