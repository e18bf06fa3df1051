"""What Trackio tracked is read from the database of a project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stores import TRACKIO, insert, run_script, trackio_database

from ftadvise.errors import LogError
from ftadvise.readers.files import sqlite
from ftadvise.readers.source import Source
from ftadvise.readers.wanted import Wanted
from ftadvise.testing import check_reader
from ftadvise_plugins.trackio.reader import MAX_JSON, READER

STAMP = "2025-01-01T00:00:00"
# As the callback of transformers logs.
ROWS: list[dict[str, Any]] = [
    {"train/loss": 3.0, "train/epoch": 0.5, "train/global_step": 10, "train/learning_rate": 1e-4},
    {"train/loss": 2.0, "train/epoch": 1.0, "train/global_step": 20, "train/learning_rate": 5e-5},
    {"eval/loss": 2.5, "eval/runtime": 9.0, "train/epoch": 1.0, "train/global_step": 20},
    {"train/loss": 1.5, "train/epoch": 1.5, "train/global_step": 30, "train/learning_rate": 0.0},
    {"eval/loss": 2.25, "train/epoch": 1.5, "train/global_step": 30},
    {"train/train_loss": 2.2, "train/train_runtime": 60.0, "train/global_step": 30},
]
CONFIG = {
    "num_train_epochs": 3,
    "lr_scheduler_type": "linear",
    "save_strategy": "epoch",
    "save_steps": 500,
}
PLAIN = [{"loss": 3.0}, {"loss": 2.0}]


def project(tmp_path: Path, runs: dict[str, Any], **configs: Any) -> Source:
    return Source(trackio_database(tmp_path / "project.db", runs, configs))


def test_a_run_is_read_with_its_plan(tmp_path: Path) -> None:
    source = project(tmp_path, {"first": ROWS}, first=CONFIG)
    assert READER.sniff(source) == 0.95
    [run] = READER.read(source)
    assert (run.train.key, run.eval.key, run.source.run) == ("train/loss", "eval/loss", "first")
    assert run.train.loss.tolist() == [3.0, 2.0, 1.5]
    assert run.train.step.tolist() == [10, 20, 30]
    assert run.train.epoch.tolist() == [0.5, 1.0, 1.5]
    assert run.eval.loss.tolist() == [2.5, 2.25]
    assert run.eval.step.tolist() == [20, 30]
    assert run.lr.rate.tolist() == [1e-4, 5e-5, 0.0]
    assert run.planned_epochs == 3
    assert run.settings.lr_scheduler_type == "linear"
    assert run.settings.save_steps is None  # saved once per epoch


def test_the_means_at_the_end_of_a_run_are_no_curve(tmp_path: Path) -> None:
    with pytest.raises(LogError):
        READER.read(project(tmp_path, {"first": ROWS[-1:]}))


def test_the_step_of_the_call_counts_where_nothing_else_does(tmp_path: Path) -> None:
    [run] = READER.read(project(tmp_path, {"r": [{"loss": 3.0, "val_loss": 3.5}, {"loss": 2.0}]}))
    assert run.train.step.tolist() == [0, 1]
    assert run.eval.step.tolist() == [0]


def test_texts_for_nan_and_infinity_are_numbers(tmp_path: Path) -> None:
    rows = [{"loss": 2.0}, {"loss": "NaN"}, {"loss": "Infinity"}, {"loss": "-Infinity"}]
    [run] = READER.read(project(tmp_path, {"r": rows}))
    np.testing.assert_array_equal(run.train.loss, [2.0, np.nan, np.nan, np.nan])
    assert run.nonfinite == {"loss": 3}


def test_runs_of_one_name_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    source = project(tmp_path, {"one": PLAIN, "two": PLAIN})
    run_script(source.path, "UPDATE metrics SET run_name = 'same'")
    found = READER.read(Source(source.path))
    assert [run.source.run for run in found] == ["same", "same"]
    assert [len(run.train) for run in found] == [2, 2]


def test_the_database_of_an_old_version_tells_runs_by_their_names(tmp_path: Path) -> None:
    script = """CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT,
                                      step INTEGER, metrics TEXT);
        CREATE TABLE configs (id INTEGER PRIMARY KEY, run_name TEXT, config TEXT);"""
    path = run_script(tmp_path / "old.db", script)
    for step, name in enumerate(["a", "b", "a", "b"]):
        row = (None, STAMP, name, step // 2, json.dumps({"loss": 3.0 - step}))
        insert(path, "metrics", [row])
    insert(path, "configs", [(None, "a", json.dumps({"epochs": 2}))])
    runs = READER.read(Source(path))
    assert [run.source.run for run in runs] == ["a", "b"]
    assert [run.train.loss.tolist() for run in runs] == [[3.0, 1.0], [2.0, 0.0]]


def test_of_more_rows_than_can_be_read_the_newest_runs_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = project(tmp_path, dict.fromkeys(("a", "b", "c"), PLAIN))
    monkeypatch.setattr(sqlite, "MAX_ROWS", 5)
    runs = READER.read(source)
    assert [(run.source.run, len(run.train)) for run in runs] == [("b", 2), ("c", 2)]
    assert "The 2 newest of 3 runs were read: it holds too many." in runs[0].notes


def test_rows_that_are_no_object_are_left_out_and_counted(tmp_path: Path) -> None:
    source = project(tmp_path, {"r": PLAIN})
    large = json.dumps({"loss": 0.5, "picture": "x" * MAX_JSON})
    bad: list[Any] = ["{", "[1]", "null", b"\xff", 12, "[" * 5000, large, '{"loss": {"a": "b"}}']
    rows = [(None, "id-r", STAMP, "r", 2 + i, text) for i, text in enumerate(bad)]
    insert(source.path, "metrics", [*rows, (None, "id-r", STAMP, "r", b"\x00", '{"loss": 1.0}')])
    [run] = READER.read(Source(source.path))
    assert run.train.loss.tolist() == [3.0, 2.0, 1.0]
    assert "Left out 7 rows that are no JSON object, or too large." in run.notes


def test_a_series_is_read_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    runs = {"one": PLAIN, "two": [{"loss": 3.0, "objective_a": 9.0}, {"objective_a": 8.0}]}
    path = project(tmp_path, runs).path
    [run] = READER.read(Source(path, wanted=Wanted(key="objective_a")))
    assert (run.source.run, run.train.loss.tolist()) == ("two", [9.0, 8.0])
    with pytest.raises(LogError) as caught:
        READER.read(Source(path, wanted=Wanted(key="no_such")))
    assert caught.value.code == "FT409"


@pytest.mark.parametrize(
    ("rows", "code"), [([], "FT405"), ([{"accuracy": 0.5}, {"accuracy": 0.6}], "FT406")]
)
def test_a_project_without_a_loss_says_what_it_has(
    tmp_path: Path, rows: list[dict[str, float]], code: str
) -> None:
    with pytest.raises(LogError) as caught:
        READER.read(project(tmp_path, {"r": rows}))
    assert caught.value.code == code
    assert "a Trackio project" in caught.value.message


def test_the_reader_keeps_the_promises_of_a_reader(tmp_path: Path) -> None:
    good = [trackio_database(tmp_path / "p.db", {"first": ROWS, "second": PLAIN})]
    check_reader(READER, good, [run_script(tmp_path / "empty.db", TRACKIO)])


cells = st.one_of(
    st.floats(), st.integers(), st.text(max_size=5), st.none(), st.lists(st.integers(), max_size=3)
)
names = st.sampled_from(["train/loss", "eval/loss", "train/epoch", "train/global_step", "x"])


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.dictionaries(names, cells, max_size=4), max_size=20))
def test_whatever_was_logged_gives_runs_or_an_honest_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    source = project(tmp_path_factory.mktemp("project"), {"r": rows})
    try:
        runs = READER.read(source)
    except LogError:
        return
    assert sum(len(run.train) + len(run.eval) for run in runs) <= 2 * len(rows)


_LOGGING = """
import sys, trackio
trackio.init(project="made", name="first", config={"num_train_epochs": 2})
for step in (1, 2, 3, 4):
    trackio.log({"train/loss": 4.0 / step, "train/global_step": 10 * step})
trackio.log({"eval/loss": float("nan"), "train/global_step": 40})
trackio.finish()
"""


@pytest.mark.long
def test_a_database_that_trackio_itself_wrote_is_read(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    environment = {"TRACKIO_DIR": str(tmp_path), "PATH": "", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", _LOGGING], env=environment, check=True, timeout=120)
    [run] = READER.read(Source(tmp_path / "made.db"))
    assert run.source.run == "first"
    assert run.train.loss.tolist() == [4.0, 2.0, 4.0 / 3, 1.0]
    assert run.train.step.tolist() == [10, 20, 30, 40]
    assert run.nonfinite == {"eval/loss": 1}
