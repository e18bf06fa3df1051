"""The file of Keras' CSVLogger: epochs from 0, appended trainings, NA."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftadvise.readers import read, read_all
from ftadvise.readers.table_logs import keras_csv
from ftadvise.testing import check_reader

GOOD = Path(__file__).parent / "good" / "keras_csv"


def written(folder: Path, text: str) -> Path:
    path = folder / "training.log"
    path.write_text(text)
    return path


def test_epochs_are_given_as_epochs_done(tmp_path: Path) -> None:
    run = read(
        written(tmp_path, "epoch,accuracy,loss,val_accuracy,val_loss\n0,0,3,0,4\n1,0,2,0,3\n")
    )
    assert run.source.format == "keras_csv"
    assert (run.train.key, run.eval.key) == ("loss", "val_loss")
    assert run.train.epoch.tolist() == run.eval.epoch.tolist() == [1, 2]
    assert read(tmp_path / "training.log", key="").eval.epoch.tolist() == [1, 2]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_na_is_a_hole_whatever_the_separator(tmp_path: Path, separator: str) -> None:
    rows = ["epoch,loss,lr,val_loss", "0,3,0.5,NA", "1,2,0.25,2.5", "2,1,0.25,NA", ""]
    run = read(written(tmp_path, "\r\n".join(rows).replace(",", separator)))
    assert (run.eval.epoch.tolist(), run.eval.loss.tolist()) == ([2], [2.5])
    assert run.lr.rate.tolist() == [0.5, 0.25, 0.25]


def test_a_training_that_goes_on_is_one_run_and_one_from_zero_is_another(tmp_path: Path) -> None:
    head = "epoch,loss,val_loss\n0,5,6\n1,4,5\n"
    assert read(written(tmp_path, f"{head}2,3,4\n3,2,3\n")).train.epoch.tolist() == [1, 2, 3, 4]
    runs = read_all(written(tmp_path, f"{head}0,4,5\n0,3,4\n1,2,3\n"))
    assert [run.train.loss.tolist() for run in runs] == [[5, 4], [4], [3, 2]]
    assert [run.restarts for run in runs] == [2, 2, 2]


def test_a_table_from_epoch_one_is_somebody_elses(tmp_path: Path) -> None:
    run = read(written(tmp_path, "epoch,loss,val_loss\n1,5,6\n2,4,5\n"))
    assert (run.source.format, run.train.epoch.tolist()) == ("csv", [1, 2])


@pytest.mark.parametrize(
    "rows",
    [
        "epoch,batch,loss\n0,0,5\n0,10,4\n1,0,3\n1,10,2\n",
        "epoch,loss,lr\n0,5,1\n0,4,1\n1,3,1\n1,2,1\n",
    ],
)
def test_several_rows_of_an_epoch_are_not_keras(tmp_path: Path, rows: str) -> None:
    run = read(written(tmp_path, rows))
    assert run.source.format == "csv"
    assert run.train.loss.tolist() == [5, 4, 3, 2]
    assert run.train.epoch.tolist() == [0.5, 1, 1.5, 2]


def test_the_reader_keeps_the_contract_of_readers(tmp_path: Path) -> None:
    bad = written(tmp_path, "epoch,accuracy\n0,0.5\n")
    check_reader(keras_csv.READER, sorted(GOOD.iterdir()), [bad])


def test_what_keras_itself_writes_reads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras: Any = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.arange(12.0).reshape(12, 1) / 12
    file, history = str(tmp_path / "log.csv"), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the backends warn of their own doings
        for first, last in ((0, 2), (2, 5)):
            logger = keras.callbacks.CSVLogger(file, separator=";", append=True)
            done = model.fit(
                x, x, epochs=last, initial_epoch=first, validation_split=0.25, verbose=0,
                callbacks=[logger],
            )  # fmt: skip
            history += list(zip(done.history["loss"], done.history["val_loss"], strict=True))
    run = read(file)
    assert run.source.format == "keras_csv"
    assert run.train.epoch.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(np.c_[run.train.loss, run.eval.loss], history)
