"""What MLflow tracked is read from its files and from its database."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stores import MLFLOW, START, insert, mlflow_database, mlflow_folder, run_script

from ftadvise.errors import LogError
from ftadvise.readers import read_all
from ftadvise.readers.files import sqlite
from ftadvise.readers.source import Source
from ftadvise.readers.wanted import Wanted
from ftadvise.run import Run
from ftadvise.testing import check_reader
from ftadvise_plugins.mlflow import files as mlflow_files
from ftadvise_plugins.mlflow.reader import READER

# As the callback of transformers logs: everything at the global step.
POINTS = [
    ("loss", 10, 3.0), ("learning_rate", 10, 1e-4), ("epoch", 10, 0.5),
    ("loss", 20, 2.0), ("learning_rate", 20, 5e-5), ("epoch", 20, 1.0),
    ("eval_loss", 20, 2.5), ("eval_runtime", 20, 9.0), ("epoch", 20, 1.0),
    ("loss", 30, 1.5), ("learning_rate", 30, 0.0), ("epoch", 30, 1.5),
    ("eval_loss", 30, 2.25), ("epoch", 30, 1.5), ("train_loss", 30, 2.2),
]  # fmt: skip
PARAMS = {
    "num_train_epochs": "3", "max_steps": "-1", "lr_scheduler_type": "SchedulerType.LINEAR",
    "load_best_model_at_end": "True", "learning_rate": "0.0001",
}  # fmt: skip


def read(path: Path, wanted: Wanted | None = None, *, alone: bool = False) -> list[Run]:
    files = () if alone else mlflow_files.gather(path)
    return READER.read(Source(path, wanted=wanted or Wanted(), files=files))


def store(tmp_path: Path, kind: str, points: list[tuple[str, int, float]]) -> Path:
    """Return the file to give, of a folder or a database that holds `points`."""
    if kind == "database":
        return mlflow_database(tmp_path / "mlflow.db", {"first": points}, PARAMS)
    return mlflow_folder(tmp_path / "0af3", points, PARAMS, "first") / "meta.yaml"


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_a_run_is_read_with_its_plan_from_files_and_database_alike(
    tmp_path: Path, kind: str
) -> None:
    path = store(tmp_path, kind, POINTS)
    assert READER.sniff(Source(path)) == 0.95
    [run] = read(path)
    assert (run.train.key, run.eval.key, run.source.run) == ("loss", "eval_loss", "first")
    assert run.train.loss.tolist() == [3.0, 2.0, 1.5]
    assert run.train.step.tolist() == [10, 20, 30]
    assert run.train.epoch.tolist() == [0.5, 1.0, 1.5]
    assert run.eval.loss.tolist() == [2.5, 2.25]
    assert run.eval.step.tolist() == [20, 30]
    assert run.eval.epoch.tolist() == [1.0, 1.5]
    assert run.lr.rate.tolist() == [1e-4, 5e-5, 0.0]
    assert run.planned_epochs == 3
    assert run.settings.lr_scheduler_type == "linear"
    assert run.settings.load_best_model_at_end is True


@pytest.mark.parametrize(("strategy", "steps"), [("steps", 500), ("SaveStrategy.EPOCH", None)])
def test_steps_of_saving_count_where_they_are_in_use(
    tmp_path: Path, strategy: str, steps: float | None
) -> None:
    params = {"save_strategy": strategy, "save_steps": "500"}
    [run] = read(mlflow_database(tmp_path / "m.db", {"r": POINTS}, params))
    assert run.settings.save_steps == steps


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_nan_and_infinity_are_counted_and_leave_holes(tmp_path: Path, kind: str) -> None:
    points = [("loss", 1, 2.0), ("loss", 2, math.nan), ("loss", 3, math.inf), ("loss", 4, 1.0)]
    [run] = read(store(tmp_path, kind, points))
    np.testing.assert_array_equal(run.train.loss, [2.0, np.nan, np.nan, 1.0])
    assert run.nonfinite == {"loss": 2}


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_metrics_may_have_steps_of_their_own(tmp_path: Path, kind: str) -> None:
    points: list[tuple[str, int, float]] = []
    for epoch in (1, 2):
        points += [("train/loss", 50 * (epoch - 1) + i, 3.0 - epoch + i / 100) for i in range(50)]
        points.append(("val/loss", epoch, 2.0 - epoch / 4))
    [run] = read(store(tmp_path, kind, points))
    assert run.train.key == "train/loss"
    assert run.train.step.tolist() == list(range(100))
    assert run.eval.step.tolist() == [1, 2]
    assert run.eval.loss.tolist() == [1.75, 1.5]


def test_points_without_steps_are_taken_in_their_order(tmp_path: Path) -> None:
    points = [("loss", 0, 3.0), ("loss", 0, 2.0), ("val_loss", 0, 2.5), ("loss", 0, 1.0)]
    [run] = read(mlflow_database(tmp_path / "m.db", {"r": points}))
    assert run.train.loss.tolist() == [3.0, 2.0, 1.0]
    assert np.isnan(run.train.step).all()
    assert run.train.epoch.tolist() == [1, 2, 3]
    assert run.eval.epoch.tolist() == [2]
    assert any("same step" in note for note in run.notes)


def test_steps_that_number_the_planned_epochs_are_epochs(tmp_path: Path) -> None:
    points = [(key, epoch, 2.0 - epoch / 10) for epoch in range(3) for key in ("loss", "val_loss")]
    [run] = read(mlflow_database(tmp_path / "m.db", {"r": points}, {"epochs": "4"}))
    assert run.train.epoch.tolist() == [1, 2, 3]
    assert np.isnan(run.train.step).all()
    assert run.planned_epochs == 4
    assert "One step per planned epoch: the steps are taken as epochs." in run.notes


@pytest.mark.parametrize("steps", [(100, 101, 102), (1, 3, 5), (1, 2, 3, 4, 5)])
def test_other_steps_stay_steps(tmp_path: Path, steps: tuple[int, ...]) -> None:
    points = [("loss", step, 2.0) for step in steps]
    [run] = read(mlflow_database(tmp_path / "m.db", {"r": points}, {"epochs": "4"}))
    assert run.train.step.tolist() == list(steps)
    assert np.isnan(run.train.epoch).all()


def test_a_resumed_run_goes_on_where_it_was_resumed(tmp_path: Path) -> None:
    points = [("loss", s, 10.0 - s) for s in (1, 2, 3, 4)]
    points += [("loss", s, 20.0 - s) for s in (3, 4, 5)]
    [run] = read(mlflow_database(tmp_path / "m.db", {"r": points}))
    assert run.train.step.tolist() == [1, 2, 3, 4, 5]
    assert run.train.loss.tolist() == [9, 8, 17, 16, 15]
    assert run.restarts == 1


def test_all_runs_of_a_database_have_their_names_and_deleted_ones_are_left_out(
    tmp_path: Path,
) -> None:
    runs = {name: [("loss", 1, 2.0), ("loss", 2, 1.0)] for name in ("one", "two", "gone")}
    path = mlflow_database(tmp_path / "m.db", runs)
    run_script(path, "UPDATE runs SET lifecycle_stage = 'deleted' WHERE name = 'gone'")
    found = read(path)
    assert [run.source.run for run in found] == ["one", "two"]
    assert "Left out 1 deleted runs." in found[0].notes


def test_runs_of_several_experiments_say_which(tmp_path: Path) -> None:
    points = [("loss", 1, 2.0), ("loss", 2, 1.0)]
    path = mlflow_database(tmp_path / "m.db", {"one": points, "two": points})
    insert(path, "experiments", [(2, "Tuned")])
    run_script(path, "UPDATE runs SET experiment_id = 2 WHERE name = 'two'")
    assert [run.source.run for run in read(path)] == ["Default/one", "Tuned/two"]


def test_the_database_of_an_old_version_has_fewer_columns(tmp_path: Path) -> None:
    script = """CREATE TABLE runs (run_uuid TEXT, name TEXT);
        CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
        CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT);
        INSERT INTO runs VALUES ('r', '');
        INSERT INTO tags VALUES ('mlflow.runName', 'old', 'r');
        INSERT INTO metrics VALUES ('loss', 2.0, 2, 'r'), ('loss', 3.0, 1, 'r');"""
    [run] = read(run_script(tmp_path / "m.db", script))
    assert run.source.run == "old"
    assert run.train.loss.tolist() == [3.0, 2.0]


def test_values_of_wrong_types_are_left_out_and_counted(tmp_path: Path) -> None:
    points = [("loss", s, 4.0 - s) for s in (1, 2, 3)]
    path = mlflow_database(tmp_path / "m.db", {"r": points})
    late = START + 10
    insert(
        path,
        "metrics",
        [
            ("loss", b"\x00\xff", late, "id-r", 4, 0),
            ("loss", "much", late, "id-r", 5, 0),
            ("loss", 0.5, "never", "id-r", 6, 0),
            ("loss", 0.5, late, "id-r", None, 0),
            (b"\xfe\xff", 0.5, late, "id-r", 7, 0),
            (12, 0.5, late, "id-r", 7, 0),
            ("loss", 0.5, late, "id-r", 10_000_000, 0),
            ("loss", 0.5, late, None, 9, 0),
        ],
    )
    [run] = read(path)
    assert run.train.step.tolist() == [1, 2, 3, 10_000_000]
    assert "Left out 4 points that are no numbers." in run.notes


def test_a_view_that_never_ends_in_place_of_the_metrics_is_not_asked(tmp_path: Path) -> None:
    path = mlflow_database(tmp_path / "m.db", {"r": POINTS})
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    columns = "'loss' AS key, i AS value, i AS timestamp, 'id-r' AS run_uuid, i AS step"
    view = f"CREATE VIEW metrics AS {endless} SELECT {columns}, 0 AS is_nan FROM n"
    run_script(path, f"DROP TABLE metrics; {view}")
    assert READER.sniff(Source(path)) == 0


def test_of_more_rows_than_can_be_read_the_newest_runs_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [("loss", s, 4.0 - s) for s in (1, 2, 3)]
    path = mlflow_database(tmp_path / "m.db", dict.fromkeys(("a", "b", "c"), points))
    monkeypatch.setattr(sqlite, "MAX_ROWS", 7)
    runs = read(path)
    assert [(run.source.run, len(run.train)) for run in runs] == [("b", 3), ("c", 3)]
    assert "The 2 newest of 3 runs were read: it holds too many." in runs[0].notes


def test_one_metric_file_is_read_by_itself(tmp_path: Path) -> None:
    folder = mlflow_folder(tmp_path / "0af3", POINTS)
    [run] = read(folder / "metrics" / "eval_loss", alone=True)
    assert (run.train.key, run.eval.key) == (None, "eval_loss")
    assert run.eval.step.tolist() == [20, 30]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("metrics/epoch", "an MLflow metric file of epoch"),
        ("metrics/eval_runtime", "an MLflow metric file of eval_runtime"),
        ("meta.yaml", "description of a run, without its metrics"),
    ],
)
def test_one_file_without_a_loss_says_what_it_is_and_what_to_give(
    tmp_path: Path, name: str, message: str
) -> None:
    folder = mlflow_folder(tmp_path / "0af3", POINTS)
    with pytest.raises(LogError) as caught:
        read(folder / name, alone=True)
    assert message in caught.value.message
    assert "folder of the run" in caught.value.hint


def test_a_copy_whose_folders_became_its_name_keeps_its_metric(tmp_path: Path) -> None:
    path = tmp_path / "mlruns__0__0af3__metrics__eval__loss"
    path.write_text(f"{START} 2.5 10\n{START + 1} 2.0 20\n", encoding="utf-8")
    [run] = read(path)
    assert run.eval.key == "eval/loss"


def test_lines_of_all_versions_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "0af3" / "metrics"
    folder.mkdir(parents=True)
    (folder / "loss").write_text(
        f"{START} 3.0 1\n{START} 2.0 2 data 8f3a\n{START} 1e-05 3 0af3 data 8f3a\r\n", "utf-8"
    )
    (folder / "val_loss").write_text(f"{START} 3.5\n{START + 1} 3.25\n", encoding="utf-8")
    [run] = read(folder / "loss")
    assert run.train.loss.tolist() == [3.0, 2.0, 1e-5]
    assert run.eval.loss.tolist() == [3.5, 3.25]


def test_a_broken_metric_file_does_not_sink_the_run(tmp_path: Path) -> None:
    folder = mlflow_folder(tmp_path / "0af3", POINTS)
    (folder / "metrics" / "eval_loss").write_bytes(b"\x00\xff" * 50)
    with (folder / "metrics" / "loss").open("a", encoding="utf-8") as file:
        file.write(f"{START + 50} 1.25 40\nhalf a line\n{START + 60} 1.1")
    [run] = read(folder / "metrics" / "loss")
    assert run.train.step.tolist()[:4] == [10, 20, 30, 40]
    assert not len(run.eval)
    assert "Not every line of these metrics could be read: loss, eval_loss." in run.notes


def test_links_out_of_the_run_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text(f"{START} 9.0 1\n", encoding="utf-8")
    folder = mlflow_folder(tmp_path / "0af3", [("loss", 1, 2.0), ("loss", 2, 1.0)])
    (folder / "metrics" / "eval_loss").symlink_to(outside)
    (folder / "metrics" / "more").symlink_to(tmp_path)
    files = mlflow_files.gather(folder / "meta.yaml")
    assert [file.name for file in files] == ["loss", "meta.yaml"]


def test_a_metric_without_a_meaning_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    points = [(key, s, 3.0 - s) for s in (1, 2) for key in ("loss", "objective_a")]
    wanted = Wanted(key="objective_a")
    for kind in ("folder", "database"):
        (tmp_path / kind).mkdir()
        [run] = read(store(tmp_path / kind, kind, points), wanted)
        assert run.train.key == "objective_a"


def test_a_name_that_only_one_run_has_finds_that_run(tmp_path: Path) -> None:
    runs = {"one": [("loss", 1, 2.0)], "two": [("loss", 1, 2.0), ("objective_a", 1, 3.0)]}
    path = mlflow_database(tmp_path / "m.db", runs)
    [run] = read(path, Wanted(key="objective_a"))
    assert run.source.run == "two"
    with pytest.raises(LogError) as caught:
        read(path, Wanted(key="no_such"))
    assert caught.value.code == "FT409"


@pytest.mark.parametrize("points", [[], [("accuracy", 1, 0.5)]])
def test_a_store_without_a_loss_says_what_it_has(
    tmp_path: Path, points: list[tuple[str, int, float]]
) -> None:
    with pytest.raises(LogError) as caught:
        read(mlflow_database(tmp_path / "m.db", {"r": points}))
    assert caught.value.code == ("FT406" if points else "FT405")
    assert ("accuracy" if points else "without any metric") in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["1.0 2.0 3.0\n", "1700000000000\n", "1700000000000 x 1\n", "2024 1.0 1\n", "9" * 70000],
)
def test_other_columns_of_numbers_are_not_taken_for_metrics(tmp_path: Path, text: str) -> None:
    path = tmp_path / "numbers"
    path.write_text(text, encoding="utf-8")
    assert READER.sniff(Source(path)) == 0


def test_the_reader_keeps_the_promises_of_a_reader(tmp_path: Path) -> None:
    folder = mlflow_folder(tmp_path / "0af3", POINTS, PARAMS)
    good = [folder / "metrics" / "loss", mlflow_database(tmp_path / "m.db", {"r": POINTS}, PARAMS)]
    bad = [folder / "metrics" / "epoch", run_script(tmp_path / "empty.db", MLFLOW)]
    check_reader(READER, good, bad)


losses = st.lists(
    st.tuples(
        st.sampled_from(["loss", "eval_loss", "epoch", "train/loss"]),
        st.integers(-(2**62), 2**62),
        st.floats(),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(points=losses)
def test_whatever_was_logged_gives_runs_or_an_honest_error(
    tmp_path_factory: pytest.TempPathFactory, points: list[tuple[str, int, float]]
) -> None:
    path = mlflow_folder(tmp_path_factory.mktemp("run") / "0af3", points) / "meta.yaml"
    try:
        runs = read(path)
    except LogError:
        return
    for run in runs:
        known = run.train.step[np.isfinite(run.train.step)]
        assert (np.diff(known) >= 0).all()
        assert np.isfinite(run.train.loss).sum() <= len(points)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["folder", "database"])
def test_what_mlflow_itself_wrote_is_read_as_its_client_reads_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow: Any = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # which new versions discourage
    address = "file://" if kind == "folder" else "sqlite:///"
    mlflow.set_tracking_uri(f"{address}{tmp_path}/{'mlruns' if kind == 'folder' else 'm.db'}")
    with mlflow.start_run(run_name="first") as active:
        mlflow.log_params({"num_train_epochs": 3, "max_steps": -1})
        for key, step, value in POINTS:
            mlflow.log_metric(key, value, step=step)
        mlflow.log_metric("loss", math.nan, step=40)
        mlflow.log_metric("loss", -math.inf, step=50)
        mlflow.log_metric("epoch", 2.5, step=50)
    place = tmp_path / "m.db"
    if kind == "folder":
        place = next(tmp_path.glob("mlruns/*/*/metrics")).parent / "meta.yaml"
    [run] = read(place)
    client = mlflow.MlflowClient()
    for series in (run.train, run.eval):
        known = client.get_metric_history(active.info.run_id, series.key)
        assert series.step.tolist() == [point.step for point in known]
        values = np.array([point.value for point in known])
        # The client, too, gets the largest double for an infinity back from the database.
        values[~(np.abs(values) < 1e308)] = np.nan
        np.testing.assert_array_equal(series.loss, values)
    assert (run.source.run, run.planned_epochs) == ("first", 3)


def test_a_run_of_more_metrics_than_are_read_stays_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_files, "MAX_FILES", 3)
    points = [(f"loss{place}", step, 2.0) for place in range(9) for step in (1, 2)]
    mlflow_folder(tmp_path / "mlruns" / "0" / ("0af3" * 8), points)
    [run] = read_all(tmp_path / "mlruns")
    assert "Read the first 3 metrics of 9." in run.notes
