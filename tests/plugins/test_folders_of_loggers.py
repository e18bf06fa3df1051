"""Folders as experiment trackers leave them: each run once, under a name that tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_events
import made_stores
import made_wandb
import pytest

from ftadvise import plugins, readers
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Reader
from ftadvise_plugins import mlflow, tensorboard, wandb

STEPS = range(1, 31)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the readers of these plugins, and no others."""

    def collected(hook: str) -> list[Any]:
        assert hook == "register_readers"
        own: list[Reader] = []
        for plugin in (readers, tensorboard, wandb, mlflow):
            own += plugin.register_readers()
        return own

    monkeypatch.setattr(plugins, "collect", collected)


def events(folder: Path, factor: float = 1.0, second: int = 0) -> Path:
    rows = [
        made_events.event(step, made_events.simple(tag, x * factor / step))
        for step in STEPS
        for tag, x in (("train/loss", 3.0), ("eval/loss", 3.5))
    ]
    return made_events.write(folder / made_events.name(second), rows)


def names(folder: Path) -> list[str]:
    return [run.source.run for run in read_all(folder)]


def test_the_event_files_of_an_output_folder_are_of_the_run_of_its_state(tmp_path: Path) -> None:
    history = [{"step": s, "epoch": s / 10, "loss": 3.0 / s} for s in STEPS]
    checkpoint = tmp_path / "out" / "checkpoint-30"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    events(tmp_path / "out" / "runs" / "Dec01_host")
    (run,) = read_all(tmp_path)
    assert run.source.format == "trainer_state"
    (checkpoint / "trainer_state.json").unlink()
    (run,) = read_all(tmp_path)
    assert run.source.format == "tensorboard"


def test_each_folder_of_event_files_is_a_run_and_its_files_are_of_it(tmp_path: Path) -> None:
    for place, name in enumerate(("Dec01_host", "Dec02_host")):
        events(tmp_path / "runs" / name, factor=1.0 + place)
    made_events.write(tmp_path / "runs" / "Dec01_host" / made_events.name(50), [])
    assert names(tmp_path) == ["Dec01_host", "Dec02_host"]


def test_the_folders_of_the_splits_are_one_run(tmp_path: Path) -> None:
    for split, loss in (("train", 3.0), ("validation", 3.5)):
        rows = [
            made_events.event(s, made_events.simple("epoch_loss", loss / s)) for s in range(1, 9)
        ]
        made_events.write(tmp_path / "logs" / split / made_events.name(), rows)
    (run,) = read_all(tmp_path)
    assert (len(run.train), len(run.eval)) == (8, 8)
    events(tmp_path / "other", factor=2.0)
    assert names(tmp_path) == ["logs", "other"]


def test_a_run_of_wandb_is_its_folder_and_what_was_printed_is_of_it(tmp_path: Path) -> None:
    for name, run_id in (
        ("run-20250101_100000-aaaa", "aaaa"),
        ("offline-run-20250102_100000-bbbb", "bbbb"),
    ):
        folder = tmp_path / "wandb" / name
        rows = made_wandb.trainer_rows(STEPS)
        made_wandb.write(folder / f"run-{run_id}.wandb", rows)
        (folder / "files").mkdir()
        (folder / "files" / "output.log").write_text("{'loss': 9.0, 'epoch': 1.0}\n" * 3)
        (folder / "files" / "wandb-summary.json").write_text('{"train/loss": 1.0}')
        (folder / "logs").mkdir()
        (folder / "logs" / "debug.log").write_text("loss: 3\n")
    (tmp_path / "wandb" / "latest-run").symlink_to(tmp_path / "wandb" / "run-20250101_100000-aaaa")
    assert names(tmp_path) == ["offline-run-20250102_100000-bbbb", "run-20250101_100000-aaaa"]
    assert read(tmp_path, run="aaaa").source.format == "wandb"


def test_what_was_printed_is_read_where_the_wandb_file_is_broken(tmp_path: Path) -> None:
    folder = tmp_path / "wandb" / "run-20250101_100000-aaaa"
    (folder / "files").mkdir(parents=True)
    (folder / "run-aaaa.wandb").write_bytes(b":W&B\xe1\xbe\x00" + b"\0" * 50)
    lines = [f"{{'loss': {3.0 / e}, 'epoch': {e}.0}}" for e in range(1, 6)]
    (folder / "files" / "output.log").write_text("\n".join(lines))
    (run,) = read_all(tmp_path)
    assert len(run.train) == 5
    assert run.notes[0].startswith("Read from output.log, because: ")


def test_the_starts_of_a_resumed_run_of_wandb_are_one_run(tmp_path: Path) -> None:
    for day, steps in (("20250101", range(1, 16)), ("20250102", range(16, 31))):
        folder = tmp_path / "wandb" / f"run-{day}_100000-aaaa"
        made_wandb.write(folder / "run-aaaa.wandb", made_wandb.trainer_rows(steps))
    other = tmp_path / "wandb" / "run-20250103_100000-bbbb"
    made_wandb.write(other / "run-bbbb.wandb", made_wandb.trainer_rows(range(1, 9)))
    assert names(tmp_path) == ["run-20250102_100000-aaaa", "run-20250103_100000-bbbb"]


def test_runs_of_mlflow_are_found_in_folders_and_in_a_database(tmp_path: Path) -> None:
    points = [(key, s, x / s) for s in STEPS for key, x in (("loss", 3.0), ("eval_loss", 3.5))]
    for place in ("a" * 32, "b" * 32):
        made_stores.mlflow_folder(tmp_path / "mlruns" / "0" / place, points, name=f"lr-{place[0]}")
    first = read_all(tmp_path)
    assert len(first) == 2
    assert all((len(run.train), len(run.eval)) == (30, 30) for run in first)
    assert read(tmp_path, run="a" * 32).source.run == first[0].source.run
    one = read_all(tmp_path / "mlruns" / "0" / ("a" * 32))
    assert len(one) == 1
    others = {
        name: [(k, s, value * x) for k, s, value in points] for name, x in (("x", 2), ("y", 4))
    }
    made_stores.mlflow_database(tmp_path / "mlflow.db", others)
    assert len(read_all(tmp_path / "mlflow.db")) == 2
    assert len(read_all(tmp_path)) == 4
