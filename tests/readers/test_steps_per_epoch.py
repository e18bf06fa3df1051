"""The epochs of logs that tell none, from the number of steps in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftadvise.readers import read
from ftadvise.readers.series.passes import ASSUMED, with_steps_per_epoch
from ftadvise.run import Run


def run_of(tmp_path: Path, value: Any) -> Run:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(value))
    return read(path)


def test_steps_become_epochs_in_all_series(tmp_path: Path) -> None:
    rows = [{"step": s, "loss": 1.0, "val_loss": 1.0, "lr": 0.1} for s in (50, 100, 150, 200)]
    run = with_steps_per_epoch(run_of(tmp_path, {"max_steps": 400, "rows": rows}), 100.0)
    for series in (run.train, run.eval, run.lr):
        assert series.epoch.tolist() == [0.5, 1.0, 1.5, 2.0]
        assert series.step.tolist() == [50, 100, 150, 200]
    assert run.steps_per_epoch == 100.0
    assert any("epochs are counted in steps, 100 in an epoch" in note for note in run.notes)


def test_points_without_a_time_become_steps(tmp_path: Path) -> None:
    log = {"loss": [3.0, 2.0, 1.5, 1.0], "val_loss": [3.0, 1.0]}
    run = run_of(tmp_path, log)
    assert any(note.startswith(ASSUMED) for note in run.notes)
    timed = with_steps_per_epoch(run, 2.0)
    assert timed.train.step.tolist() == [1, 2, 3, 4]
    assert timed.train.epoch.tolist() == [0.5, 1.0, 1.5, 2.0]
    assert timed.eval.epoch.tolist() == pytest.approx((run.eval.epoch / 2).tolist())
    assert not any(note.startswith(ASSUMED) for note in timed.notes)


def test_one_evaluation_per_epoch_is_no_longer_assumed_then(tmp_path: Path) -> None:
    log = {"loss": [1.0 / (x + 1) for x in range(100)], "val_loss": [3.0, 2.0, 1.0, 0.5]}
    run = run_of(tmp_path, log)
    assert run.train.epoch[-1] == 4.0
    timed = with_steps_per_epoch(run, 10.0)
    assert timed.train.epoch[-1] == 10.0
    assert timed.train.step[-1] == 100.0
    assert timed.eval.epoch.tolist() == [2.5, 5.0, 7.5, 10.0]


def test_epochs_of_the_log_are_kept_and_that_is_said(tmp_path: Path) -> None:
    run = run_of(tmp_path, [{"epoch": e, "step": 10 * e, "loss": 1.0} for e in (1, 2, 3)])
    same = with_steps_per_epoch(run, 7.0)
    assert same.train.epoch.tolist() == [1, 2, 3]
    assert "not used" in same.notes[-1]
