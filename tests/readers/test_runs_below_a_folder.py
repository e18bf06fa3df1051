"""The runs in a folder: which files belong to one, what they are called, which is taken."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ftadvise import plugins, readers
from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Reader, Source
from ftadvise.run import Run, Series, as_floats

if TYPE_CHECKING:
    from collections.abc import Callable

LATER = 10_000.0


def state(folder: Path, points: int = 4, loss: float = 1.0, evals: bool = True) -> Path:
    """Write a state with `points` epochs; its losses differ from those of another `loss`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, float]] = []
    for epoch in range(1, points + 1):
        at = {"step": 10.0 * epoch, "epoch": float(epoch)}
        rows.append({**at, "loss": loss + 1.0 / epoch})
        rows += [{**at, "eval_loss": loss + 1.1 / epoch}] if evals else []
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"log_history": rows, "num_train_epochs": points}))
    return path


def csv(path: Path, points: int = 4, loss: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{e},{loss + 1.0 / e},{loss + 1.1 / e}" for e in range(1, points + 1)]
    path.write_text("epoch,train_loss,val_loss\n" + "\n".join(rows) + "\n")
    return path


def written(path: Path, at: float) -> None:
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        os.utime(file, (at, at))


def names(folder: Path) -> list[str]:
    return [run.source.run for run in read_all(folder)]


def test_checkpoints_of_one_output_folder_are_one_run(tmp_path: Path) -> None:
    for number in (9, 20, 100):
        state(tmp_path / f"checkpoint-{number}", points=number // 5 + 2)
    (run,) = read_all(tmp_path)
    assert run.source.path.endswith("checkpoint-100/trainer_state.json")
    assert (run.source.run, run.source.others, len(run.train)) == ("", (), 22)


def test_the_checkpoint_before_is_read_where_the_last_is_broken_and_that_is_said(
    tmp_path: Path,
) -> None:
    state(tmp_path / "checkpoint-9")
    state(tmp_path / "checkpoint-20").write_text('{"log_history": [{"st')
    (run,) = read_all(tmp_path)
    assert run.source.path.endswith("checkpoint-9/trainer_state.json")
    assert "checkpoint-20" in run.notes[0]


def test_several_output_folders_are_several_runs_under_the_names_of_their_folders(
    tmp_path: Path,
) -> None:
    state(tmp_path / "out" / "lr-2" / "checkpoint-9")
    state(tmp_path / "out" / "lr-10", points=5)
    state(tmp_path / "out" / "lr-1" / "deep" / "checkpoint-9")
    found = read_all(tmp_path)
    assert [run.source.run for run in found] == ["lr-1/deep", "lr-2", "lr-10"]
    assert found[0].source.others == ("lr-2", "lr-10")
    assert found[2].source.path.endswith("out/lr-10/trainer_state.json")


def test_a_run_in_the_folder_itself_is_called_a_dot(tmp_path: Path) -> None:
    state(tmp_path)
    state(tmp_path / "run-2", loss=2.0)
    assert names(tmp_path) == [".", "run-2"]
    assert read(tmp_path, run=".").train.loss[0] == 2.0


@pytest.mark.parametrize("name", ["final", "best", "checkpoint-best"])
def test_a_copy_of_the_state_below_the_run_is_not_another_run(tmp_path: Path, name: str) -> None:
    state(tmp_path)
    state(tmp_path / name)
    assert names(tmp_path) == [""]
    state(tmp_path / "other", loss=3.0)
    assert names(tmp_path) == [".", "other"]


def test_two_output_folders_with_the_same_losses_stay_two_runs(tmp_path: Path) -> None:
    state(tmp_path / "seed-1")
    state(tmp_path / "seed-2")
    assert names(tmp_path) == ["seed-1", "seed-2"]


def test_what_lies_below_a_state_belongs_to_its_run(tmp_path: Path) -> None:
    state(tmp_path / "out")
    csv(tmp_path / "out" / "metrics.csv", loss=5.0)
    csv(tmp_path / "out" / "logs" / "train_log.csv", loss=6.0)
    (tmp_path / "out" / "trainer_log.jsonl").write_text('{"loss": 1}\n{"loss": 2}\n')
    assert names(tmp_path) == [""]
    assert read(tmp_path).source.format == "trainer_state"


def test_the_log_beside_a_broken_state_is_read(tmp_path: Path) -> None:
    state(tmp_path).write_text("version https://git-lfs.github.com/spec/v1\n")
    rows = [{"current_steps": s, "epoch": s / 10, "loss": 1.0 / s} for s in range(1, 6)]
    (tmp_path / "trainer_log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (run,) = read_all(tmp_path)
    assert run.source.path.endswith("trainer_log.jsonl")
    assert "LFS" in run.notes[0]


def test_versions_of_lightning_are_runs_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (0, 2, 10):
        folder = tmp_path / "lightning_logs" / f"version_{number}"
        csv(folder / "metrics.csv", loss=float(number))
        (folder / "hparams.yaml").write_text("lr: 1\n")
    assert names(tmp_path) == ["version_0", "version_2", "version_10"]


def test_files_that_only_their_content_makes_logs_are_runs_of_their_own(tmp_path: Path) -> None:
    csv(tmp_path / "lr_1.csv", loss=1.0)
    csv(tmp_path / "lr_2.csv", loss=2.0)
    (tmp_path / "notes.txt").write_text("nothing to see\n")
    (tmp_path / "config.json").write_text('{"loss": [1, 2, 3]}')
    (tmp_path / "weights.bin").write_text('{"loss": [1, 2, 3]}')
    assert names(tmp_path) == ["lr_1.csv", "lr_2.csv"]


def test_what_was_printed_of_a_run_that_has_a_better_log_is_not_another_run(
    tmp_path: Path,
) -> None:
    state(tmp_path / "out", points=8)
    csv(tmp_path / "exported.csv", points=8)
    assert names(tmp_path) == [""]
    assert read(tmp_path).source.format == "trainer_state"
    csv(tmp_path / "exported.csv", points=8, loss=7.0)
    assert names(tmp_path) == ["exported.csv", "out"]


def test_several_runs_in_one_log_keep_its_names(tmp_path: Path) -> None:
    rows = [{"epoch": e, "loss": 1.0 / e} for e in (1, 2, 3)]
    (tmp_path / "history.json").write_text(json.dumps({"a": rows, "b": rows}))
    assert names(tmp_path) == ["a", "b"]
    state(tmp_path / "out", loss=4.0)
    assert names(tmp_path) == ["history.json/a", "history.json/b", "out"]


def test_the_newest_run_with_both_losses_is_taken(tmp_path: Path) -> None:
    for place, (name, evals) in enumerate([("a", True), ("b", True), ("c", False)]):
        written(state(tmp_path / name, evals=evals, points=9 - place), LATER * (place + 1))
    run = read(tmp_path)
    assert run.source.run == "b"
    assert run.source.others == ("a", "c")


def test_of_runs_of_one_moment_the_longest_is_taken(tmp_path: Path) -> None:
    for name, points in (("a", 5), ("b", 9), ("c", 5)):
        written(state(tmp_path / name, points=points), LATER + points)
    written(state(tmp_path / "old", points=50), LATER - 1000)
    assert read(tmp_path).source.run == "b"


def test_a_run_that_ended_at_once_is_not_the_one_that_is_meant(tmp_path: Path) -> None:
    written(state(tmp_path / "whole"), LATER)
    written(state(tmp_path / "crashed", points=1), 2 * LATER)
    assert read(tmp_path).source.run == "whole"
    assert len(read(tmp_path / "crashed").eval) == 1


@pytest.mark.parametrize("name", ["lr-2e-5", "LR-2E-5", "2e-5"])
def test_a_run_is_taken_by_its_name_or_a_part_that_no_other_has(tmp_path: Path, name: str) -> None:
    state(tmp_path / "lr-2e-5", loss=2.0)
    state(tmp_path / "lr-1e-5")
    assert read(tmp_path, run=name).source.run == "lr-2e-5"


def test_a_part_that_several_names_have_is_refused_and_so_is_one_that_none_has(
    tmp_path: Path,
) -> None:
    state(tmp_path / "lr-2e-5")
    state(tmp_path / "lr-1e-5")
    with pytest.raises(LogError, match="2 runs have 'lr' in their names") as caught:
        read(tmp_path, run="lr")
    assert "lr-1e-5, lr-2e-5" in caught.value.hint
    with pytest.raises(LogError, match="no run is called 'x'") as caught:
        read(tmp_path, run="x")
    assert caught.value.code == "FT409"


def test_a_series_is_looked_for_in_all_runs_of_a_folder(tmp_path: Path) -> None:
    state(tmp_path / "a")
    csv(tmp_path / "b" / "metrics.csv", loss=3.0)
    assert read(tmp_path, key="train_loss").source.format != "trainer_state"
    with pytest.raises(LogError, match="no series is called 'nll'"):
        read(tmp_path, key="nll")


def epochs_reader(loss_of: Callable[[Path], float], sure: float = 0.95) -> Reader:
    """Return a reader of runs whose epochs lie in a file each: `epoch_N.metric`."""

    def reads(source: Source) -> list[Run]:
        losses = as_floats([loss_of(file) for file in source.files])
        epoch = as_floats(range(1, len(losses) + 1))
        return [Run(train=Series("loss", epoch, epoch, losses))]

    return Reader(
        "spread",
        "runs in several files",
        lambda source: sure if source.head.startswith(b"spread ") else 0.0,
        reads,
        gather=lambda path: sorted(path.parent.glob("metrics_epoch_*.json")),
    )


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = epochs_reader(lambda file: float(file.read_text().split()[1]))

    def collected(_: str) -> list[Any]:
        return [mine, *readers.register_readers()]

    monkeypatch.setattr(plugins, "collect", collected)


@pytest.mark.usefixtures("spread")
def test_files_that_a_reader_gathers_are_one_run(tmp_path: Path) -> None:
    for run in ("a", "b"):
        for epoch in range(12):
            file = tmp_path / run / f"metrics_epoch_{epoch}.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"spread {1.0 / (epoch + 1)} of {run}")
    assert names(tmp_path) == ["a", "b"]
    assert len(read(tmp_path, run="a").train) == 12
    assert len(read(tmp_path / "b").train) == 12


@pytest.mark.usefixtures("spread")
def test_a_file_out_of_the_folder_is_not_gathered(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("spread 5.0")
    folder = tmp_path / "folder"
    folder.mkdir()
    for epoch in range(3):
        (folder / f"metrics_epoch_{epoch}.json").write_text("spread 1.0")
    (folder / "metrics_epoch_3.json").symlink_to(elsewhere)
    assert read(folder).train.loss.tolist() == [1.0] * 3


def test_metrics_that_mlflow_lays_out_in_folders_are_one_run_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gather(path: Path) -> list[Path]:
        return sorted(path.parent.iterdir())

    def reads(source: Source) -> list[Run]:
        return [a_run(float(len(source.files)))]

    mine = Reader(
        "stub", "files by lines", lambda s: 0.7 if b" 0\n" in s.head else 0.0, reads, gather
    )
    monkeypatch.setattr(plugins, "collect", lambda _: [mine])  # pyright: ignore
    for run in ("a" * 32, "b" * 32):
        metrics = tmp_path / "mlruns" / "0" / run / "metrics"
        metrics.mkdir(parents=True)
        for name in ("loss", "eval_loss", "epoch"):
            (metrics / name).write_text("1700000000000 1.5 0\n")
    assert names(tmp_path) == ["a" * 32, "b" * 32]
    assert read(tmp_path / "mlruns" / "0" / ("a" * 32)).train.loss[0] == 3.0
    assert read(metrics).train.loss[0] == 3.0


def a_run(loss: float) -> Run:
    two = as_floats([1, 2])
    return Run(train=Series("loss", two, two, as_floats([loss, loss])))


def test_of_two_logs_of_one_run_the_longer_counts_whatever_its_name(tmp_path: Path) -> None:
    rows = [(epoch, 2 / epoch, 2.1 / epoch**0.5) for epoch in range(1, 11)]
    lines = [
        f"Epoch {epoch} train loss {train:.3f} val loss {held:.3f}" for epoch, train, held in rows
    ]
    (tmp_path / "own.log").write_text("\n".join(lines[:8]) + "\n")
    table = [f"{epoch},{train:.3f},{held:.3f}" for epoch, train, held in rows]
    (tmp_path / "hist.csv").write_text("\n".join(["epoch,train_loss,val_loss", *table]) + "\n")
    (run,) = read_all(tmp_path)
    assert (run.source.format, len(run.train)) == ("csv", 10)
