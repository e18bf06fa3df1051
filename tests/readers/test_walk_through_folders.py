"""Folders that are no output folders: loops, links, pipes, secrets, crowds, odd names."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.folders import belonging, walk
from ftadvise.readers.folders.folder import files_below, logs_below
from ftadvise.readers.folders.ranks import ANCHOR, DATA, LOG, STORE, TELLING, mlflow_run, rank_of

STATE = json.dumps({"log_history": [{"step": s, "epoch": s / 2, "loss": 1.0 / s} for s in (1, 2)]})
HISTORY = '{"loss": [3, 2, 1]}'


def put(path: Path, text: str = STATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(folder: Path) -> list[str]:
    below = logs_below(folder)
    return [log.name for log in (*below.logs, *below.unlikely)]


def test_links_to_folders_are_not_followed_so_that_loops_end(tmp_path: Path) -> None:
    put(tmp_path / "a" / "trainer_state.json")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "latest").symlink_to(tmp_path / "a")
    assert found(tmp_path) == ["a"]


def test_a_folder_that_is_a_link_itself_is_searched(tmp_path: Path) -> None:
    put(tmp_path / "a" / "trainer_state.json")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert len(read(tmp_path / "link").train) == 2


def test_links_to_files_count_where_they_stay_in_the_folder_and_once(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere.json", HISTORY)
    folder = tmp_path / "folder"
    put(folder / "blobs" / "0f3a", HISTORY)
    (folder / "history.json").symlink_to(folder / "blobs" / "0f3a")
    (folder / "out_history.json").symlink_to(tmp_path / "elsewhere.json")
    (folder / "lost_history.json").symlink_to(tmp_path / "nowhere")
    (folder / "loop_history.json").symlink_to(folder / "loop_history.json")
    assert found(folder) == ["history.json"]


@pytest.mark.parametrize("name", [".git", ".cache", "__pycache__", "node_modules"])
def test_folders_that_hold_no_runs_are_passed_over(tmp_path: Path, name: str) -> None:
    put(tmp_path / name / "trainer_state.json")
    assert found(tmp_path) == []
    assert found(tmp_path / name) == ["."]


def test_pipes_sockets_and_devices_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trainer_state.json")
    os.mkfifo(tmp_path / "train.log")
    (tmp_path / "loss.log").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket has to be short
        try:
            one.bind("metrics.csv")
        finally:
            os.chdir(here)
        assert found(tmp_path) == []
        with pytest.raises(LogError, match="no training log"):
            read(tmp_path)


def test_a_folder_that_cannot_be_listed_is_said_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a" / "trainer_state.json")
    put(tmp_path / "closed" / "trainer_state.json")
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (run,) = read_all(tmp_path)
    assert run.notes[-1] == "1 folder below could not be listed."
    with pytest.raises(LogError, match="Permission denied") as caught:
        read_all(tmp_path / "closed")
    assert caught.value.code == "FT401"


def test_the_search_ends_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_ENTRIES", 50)
    for number in range(100):
        put(tmp_path / "pictures" / f"{number}.png", "")
    put(tmp_path / "run" / "trainer_state.json")
    (note,) = logs_below(tmp_path).notes
    assert note == (
        "The search of the folder ended after 50 entries: there may be more runs in it."
    )
    monkeypatch.setattr(walk, "MAX_ENTRIES", 5000)
    assert logs_below(tmp_path).notes == ()
    assert found(tmp_path) == ["run"]


def test_near_runs_are_found_before_a_crowd_far_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MAX_ENTRIES", 50)
    for number in range(100):
        put(tmp_path / "a" / "data" / f"{number}.json", "{}")
    put(tmp_path / "z" / "trainer_state.json")
    (run,) = read_all(tmp_path)
    assert run.source.path.endswith("z/trainer_state.json")
    assert any("the folder ended after 50 entries" in note for note in run.notes)


def test_a_crowd_of_files_that_tell_nothing_hides_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MAX_LOOSE", 3)
    monkeypatch.setattr(belonging, "MAX_LOOSE", 2)
    for number in range(10):
        put(tmp_path / "data" / f"{number}.json", "{}")
    put(tmp_path / "out" / "checkpoint-9" / "trainer_state.json")
    (run,) = read_all(tmp_path)
    assert run.notes == ("Only the first 2 of 10 files that may be logs were looked at.",)


def test_a_deep_tree_is_left_at_a_limit(tmp_path: Path) -> None:
    place = tmp_path
    for _ in range(walk.MAX_DEPTH):
        place = place / "d"
    put(place / "trainer_state.json")
    assert len(found(tmp_path)) == 1
    put(place / "d" / "metrics.csv")
    assert len(files_below(tmp_path)) == 1


def test_only_so_many_files_are_looked_at_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(belonging, "MAX_LOOSE", 3)
    for number in range(5):
        put(tmp_path / f"history_{number}.json", json.dumps({"loss": [number, 2, 1]}))
    below = logs_below(tmp_path)
    assert len(below.logs) == 3
    assert below.notes == ("Only the first 3 of 5 files that may be logs were looked at.",)


def test_a_large_file_without_a_name_of_a_log_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(belonging, "MAX_BYTES", 30)
    put(tmp_path / "train\x1b[31m.jsonl", '{"text": "' + "a" * 100 + '"}')
    put(tmp_path / "loss.json", HISTORY)
    (run,) = read_all(tmp_path)
    assert run.notes[-1].startswith("Left out train.jsonl: 0 MiB")


def test_names_of_folders_are_cleaned_and_still_tell_runs_apart(tmp_path: Path) -> None:
    for name in ("a\x1b[2J", "a\x07", "a\u202e", "b\nc"):
        put(tmp_path / name / "trainer_state.json")
    names = [run.source.run for run in read_all(tmp_path)]
    assert all(name.isprintable() for name in names)
    assert len(set(names)) == 4
    assert read(tmp_path, run="b c").source.run == "b c"


def test_bytes_that_are_no_text_in_a_name_are_no_trouble(tmp_path: Path) -> None:
    put(tmp_path / os.fsdecode(b"run-\xff") / "trainer_state.json")
    put(tmp_path / "other" / "trainer_state.json")
    assert len(read_all(tmp_path)) == 2


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("trainer_state.json", ANCHOR), ("trainer_state.json.gz", ANCHOR),
        ("training_metrics.json", ANCHOR), ("trainer_log.jsonl", LOG), ("metrics.csv", LOG),
        ("metrics_epoch_3.json", LOG), ("run-x1.wandb", STORE), ("mlflow.db", STORE),
        ("events.out.tfevents.1700000000.host.1.0", STORE), ("events.out.tfevents.1.v2", STORE),
        ("train.log", TELLING), ("slurm-123.out", TELLING), ("nohup.out", TELLING),
        ("loss_history.json", TELLING), ("history.parquet", TELLING),
        ("train-00000-of-00001.parquet", None), ("results.csv", TELLING), ("train.ipynb", TELLING),
        ("stdout", TELLING), ("run.log.zst", TELLING), ("lr3.csv", DATA), ("exp.json", DATA),
        ("log.1", TELLING), ("config.json", None), ("tokenizer.json", None), ("a.py", None),
        ("model.safetensors", None), ("README.md", None), ("requirements.txt", None),
        ("all_results.json", None), (".history.json", None), ("training_args.bin", None),
        ("model.safetensors.index.json", None), ("a.png", None), ("vocab.txt", None),
    ],
)  # fmt: skip
def test_the_name_of_a_file_says_how_likely_it_is_a_log(name: str, rank: int | None) -> None:
    assert rank_of(name, ()) == rank


def test_metrics_of_mlflow_lie_in_the_folder_of_a_run() -> None:
    run = "0" * 32
    place = ("mlruns", "1", run, "metrics", "eval")
    assert mlflow_run(place) == place[:3]
    assert mlflow_run(("metrics",), ("mlruns", "1", run)) == ()
    assert mlflow_run((), (run, "metrics")) == ()
    assert mlflow_run(("results", "metrics")) is None


def test_small_files_that_were_not_looked_at_are_said_to_be_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftadvise.readers.folders.belonging.MAX_SMALL", 2)
    for place in range(5):
        losses = [3.0 + place, 2.0, 1.0]
        (tmp_path / f"r{place}.json").write_text(json.dumps({"loss": losses}), encoding="utf-8")
    found = logs_below(tmp_path)
    assert (len(found.logs), len(found.unlikely)) == (2, 3)
    assert any("Of 5 small files" in note for note in found.notes)
