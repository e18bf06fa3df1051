"""The metrics files of AllenNLP, one per epoch, make one history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read
from ftadvise.readers.source import Source
from ftadvise.readers.text_logs.allennlp import gather
from ftadvise.readers.text_logs.text_readers import READERS
from ftadvise.testing import check_reader

GOOD = Path(__file__).parent / "good" / "allennlp"
READER = next(reader for reader in READERS if reader.name == "allennlp")


def test_a_folder_of_metrics_files_is_one_run() -> None:
    files = gather(GOOD / "run" / "metrics_epoch_1.json")
    (run,) = READER.read(Source(files[0], files=files))
    assert [file.name for file in files] == [f"metrics_epoch_{n}.json" for n in range(3)]
    assert run.train.key == "training_loss"
    assert run.train.loss.tolist() == [3.5, 2.5, 1.5]
    assert run.train.epoch.tolist() == [1, 2, 3]
    assert run.eval.key == "validation_loss"
    assert run.eval.loss.tolist() == [3.75, 2.75, 1.75]


def test_a_file_by_itself_is_one_point() -> None:
    run = read(GOOD / "metrics_epoch_1.json")
    assert run.source.format == "allennlp"
    assert run.train.loss.tolist() == [2.5]
    assert run.train.epoch.tolist() == [2]
    assert any("give the folder" in note for note in run.notes)


def test_epochs_are_ordered_by_number_and_not_by_name(tmp_path: Path) -> None:
    for epoch in (2, 10, 1):
        (tmp_path / f"metrics_epoch_{epoch}.json").write_text("{}")
    names = [file.name for file in gather(tmp_path / "metrics_epoch_10.json")]
    assert names == ["metrics_epoch_1.json", "metrics_epoch_2.json", "metrics_epoch_10.json"]


def test_a_broken_file_among_them_is_left_out_and_named(tmp_path: Path) -> None:
    for epoch in range(3):
        text = (GOOD / "run" / f"metrics_epoch_{epoch}.json").read_text()
        (tmp_path / f"metrics_epoch_{epoch}.json").write_text(text[:-20] if epoch == 1 else text)
    files = gather(tmp_path / "metrics_epoch_0.json")
    (run,) = READER.read(Source(files[0], files=files))
    assert run.train.epoch.tolist() == [1, 3]
    assert any("metrics_epoch_1.json" in note for note in run.notes)


def test_the_final_metrics_are_no_history(tmp_path: Path) -> None:
    final = tmp_path / "metrics.json"
    values = {"best_epoch": 2, "training_epochs": 2, "training_loss": 1.5, "epoch": 2}
    final.write_text(json.dumps({**values, "training_duration": "0:03:10", "epoch": "last"}))
    with pytest.raises(LogError):
        READER.read(Source(final))


def test_the_reader_keeps_the_promises_of_a_reader(tmp_path: Path) -> None:
    bad = tmp_path / "metrics_epoch_0.json"
    bad.write_text('{"epoch": -1, "training_loss": 2}')
    check_reader(READER, [GOOD / "metrics_epoch_1.json"], [bad])
