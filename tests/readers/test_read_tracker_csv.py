"""Tables downloaded from the charts of W&B and from TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Source
from ftadvise.readers.table_logs import tracker_csv
from ftadvise.testing import check_reader

GOOD = Path(__file__).parent / "good"


def written(folder: Path, text: str, name: str = "export.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def bands(*names: str) -> str:
    return ",".join(f'"{name}{band}"' for name in names for band in ("", "__MIN", "__MAX"))


def test_every_run_of_a_chart_is_a_run_and_its_band_is_none(tmp_path: Path) -> None:
    header = '"Step",' + bands("sun - 1 - train/loss", "moon - train/loss")
    text = f"{header}\n10,3,3,3,,,\n20,2,1,9,5,5,5\n30,,,,4,4,4\n"
    first, second = read_all(written(tmp_path, text))
    assert {first.source.format, second.source.format} == {"wandb_csv"}
    assert (first.source.run, second.source.run) == ("sun - 1", "moon")
    assert (first.train.key, first.train.loss.tolist()) == ("train/loss", [3, 2])
    assert second.train.step.tolist() == [20, 30]
    assert any("counts calls of its log" in note for note in first.notes)


def test_train_and_eval_of_a_run_are_one_run(tmp_path: Path) -> None:
    header = '"train/global_step",' + bands("sun - eval/loss", "sun - train/loss")
    run = read(written(tmp_path, f"{header}\n5,,,,3,3,3\n10,2.5,2.5,2.5,2,2,2\n"))
    assert (run.train.step.tolist(), run.eval.step.tolist()) == ([5, 10], [10])
    assert not any("counts calls" in note for note in run.notes)


def test_the_own_step_of_a_run_comes_before_a_clock(tmp_path: Path) -> None:
    header = '"Relative Time (Process)",' + bands("sun - _step", "sun - loss")
    run = read(written(tmp_path, f"{header}\n1.5,100,100,100,3,3,3\n2.5,200,200,200,2,2,2\n"))
    assert run.train.step.tolist() == [100, 200]


def test_a_chart_of_something_else_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, '"Step",' + bands("sun - eval/f1") + "\n10,1,1,1\n")
    with pytest.raises(LogError, match="none of them a loss: Step, sun - eval/f1") as caught:
        read(path)
    assert caught.value.code == "FT406"


TENSORBOARD = "Wall time,Step,Value\n1700000000.5,{}\n1700000001.5,{}\n"


def test_the_series_of_tensorboard_is_called_as_its_file_says(tmp_path: Path) -> None:
    text = TENSORBOARD.format("10,3", "20,2")
    run = read(written(tmp_path, text, "run-version_0-tag-train_loss.csv"))
    assert (run.source.format, run.train.key) == ("tensorboard_csv", "train_loss")
    assert run.train.step.tolist() == [10, 20]
    run = read(written(tmp_path, text, "val_loss.csv"))
    assert (run.train.key, run.eval.key) == (None, "val_loss")


def test_train_and_validation_of_keras_are_told_apart_by_their_runs(tmp_path: Path) -> None:
    for split, values in (("train", ("0,3", "1,2")), ("validation", ("0,4", "1,3"))):
        written(tmp_path, TENSORBOARD.format(*values), f"run-{split}-tag-epoch_loss.csv")
    written(tmp_path, TENSORBOARD.format("0,0", "1,1"), "run-train-tag-epoch_accuracy.csv")
    first = tmp_path / "run-train-tag-epoch_loss.csv"
    files = tracker_csv.gather_tensorboard(first)
    assert len(files) == 3
    (run,) = tracker_csv.read_tensorboard(Source(first, files=files))
    assert (run.train.loss.tolist(), run.eval.loss.tolist()) == ([3, 2], [4, 3])
    assert run.train.epoch.tolist() == run.eval.epoch.tolist() == [1, 2]
    assert read(tmp_path / "run-validation-tag-epoch_loss.csv").eval.epoch.tolist() == [1, 2]


def test_a_scalar_that_nothing_names_is_refused_unless_it_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, TENSORBOARD.format("10,3", "20,2"), "download.csv")
    with pytest.raises(LogError, match="one scalar of TensorBoard") as caught:
        read(path)
    assert (caught.value.code, "train_loss.csv" in caught.value.hint) == ("FT406", True)
    assert read(path, key="download").train.loss.tolist() == [3, 2]


def test_the_readers_keep_the_contract_of_readers(tmp_path: Path) -> None:
    bad = written(tmp_path, "a,b\n1,2\n")
    check_reader(tracker_csv.WANDB_READER, sorted((GOOD / "wandb_csv").iterdir()), [bad])
    path = GOOD / "tensorboard_csv" / "run-version_0-tag-train_loss.csv"
    reader = tracker_csv.TENSORBOARD_READER
    assert reader.read(Source(path))
    # The check gives its files other names, and the name is what tells the series.
    check_reader(reader, [path], [bad])
