"""The bytes of W&B files: blocks, damage, and what wandb itself makes of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import made_wandb as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_wandb import run_of

from ftadvise.readers import read
from ftadvise.testing import check_reader
from ftadvise_plugins.wandb import datastore
from ftadvise_plugins.wandb.reader import READER

STEPS = range(1, 31)
NAME = "run-a1b2c3d4.wandb"


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["loss", "val_loss", "train/global_step", "epoch", "note", "ä" * 70]),
            st.floats() | st.integers(-(2**70), 2**70) | st.just("NaN") | st.none(),
            max_size=5,
        ),
        max_size=30,
    ),
    st.integers(0, 70_000),
)
def test_what_is_logged_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, Any]], padding: int
) -> None:
    from ftadvise_plugins.wandb.record import Log

    path = tmp_path_factory.mktemp("run") / NAME
    made.write(path, [made.console("x" * padding), *(made.history(row) for row in values)])
    log = Log(lambda _: True)
    with path.open("rb") as file:
        for data in datastore.records(file, datastore.Damage()):
            log.add(data)
    assert (log.history, log.malformed) == (len(values), 0)
    expected = [{k: float(v) for k, v in row.items() if v is not None} for row in values]
    found = [{k: float(v) for k, v in row.items()} for row in log.rows]
    assert repr(found) == repr([row for row in expected if row])


def test_records_reach_over_blocks(tmp_path: Path) -> None:
    large = made.config({"vocabulary": "w" * 100_000})
    path = made.write(tmp_path / NAME, [large, *made.trainer_rows(range(1, 400))])
    assert path.stat().st_size > 4 * datastore.BLOCK
    assert len(run_of(path).train) == 399


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_file_that_is_still_written_is_read_up_to_its_last_whole_record(
    tmp_path: Path, cut: int
) -> None:
    path = made.write(tmp_path / NAME, made.trainer_rows(range(1, 10)))
    path.write_bytes(path.read_bytes()[:-cut])
    run = run_of(path)
    assert run.train.step.tolist() == list(range(1, 9))
    assert any("ends in the middle" in note for note in run.notes)


def test_zeros_at_the_end_of_a_file_are_no_damage(tmp_path: Path) -> None:
    path = made.write(tmp_path / NAME, made.trainer_rows(range(1, 10)))
    path.write_bytes(path.read_bytes().ljust(2 * datastore.BLOCK, b"\0"))
    assert run_of(path).notes == ()


def test_a_damaged_record_costs_itself_alone(tmp_path: Path) -> None:
    path = made.write(tmp_path / NAME, made.trainer_rows(range(1, 400)))
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"train/loss", 5000)] ^= 1
    path.write_bytes(whole)
    run = run_of(path)
    assert len(run.train) == 398
    assert any("1 record is damaged" in note for note in run.notes)


@pytest.mark.parametrize("fragment", [0, 1, 2])
def test_no_record_is_put_together_around_a_damaged_fragment(
    tmp_path: Path, fragment: int
) -> None:
    long = made.config({"vocabulary": "w" * 80_000})
    path = made.write(tmp_path / NAME, [long, *made.trainer_rows(range(1, 10))])
    whole = bytearray(path.read_bytes())
    whole[fragment * datastore.BLOCK + 100] ^= 1
    path.write_bytes(whole)
    run = run_of(path)
    assert len(run.train) == 9
    assert run.notes == ("1 record is damaged and left out.",)


def test_a_damaged_length_costs_the_rest_of_its_block(tmp_path: Path) -> None:
    path = made.write(tmp_path / NAME, made.trainer_rows(range(1, 1000)))
    whole = bytearray(path.read_bytes())
    whole[7 + 4 : 7 + 6] = b"\xff\xff"
    path.write_bytes(whole)
    assert 500 < len(run_of(path).train) < 999


def test_the_reader_keeps_its_promises(tmp_path: Path) -> None:
    about = [made.run("x", values={"epochs": 3}), made.config({"lr": 0.1})]
    good = made.write(tmp_path / NAME, [*about, *made.trainer_rows(STEPS)])
    printed = made.write(
        tmp_path / "b", [made.console(f"{{'loss': {e}.5, 'epoch': {e}}}\n") for e in range(5)]
    )
    empty = made.write(tmp_path / "empty", [])
    summary = tmp_path / "wandb-summary.json"
    summary.write_text('{"loss": 0.25, "_step": 7, "_runtime": 9}')
    check_reader(READER, [good, printed], [empty, summary])


def test_what_wandb_writes_offline_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = wandb.init(
            mode="offline", project="p", name="calm-sun-7", config={"num_train_epochs": 3}
        )
        for step in STEPS:
            run.log({"train/loss": 1 / step, "train/global_step": step, "train/epoch": step / 10})
            if step % 10 == 0:
                last = {"train/global_step": step, "train/epoch": step / 10}
                run.log({"eval/loss": float("nan") if step == 20 else 2 / step, **last})
        run.finish()
        wandb.teardown()  # waits until all is on disk
    found = read(tmp_path / "wandb")
    assert (found.source.format, found.planned_epochs) == ("wandb", 3)
    assert found.source.run.endswith("calm-sun-7")
    assert found.train.loss.tolist() == [1 / step for step in STEPS]
    assert found.train.step.tolist() == list(STEPS)
    assert found.eval.step.tolist() == [10, 20, 30]
    assert found.nonfinite == {"eval/loss": 1}


def test_wandb_parses_what_these_tests_write(tmp_path: Path) -> None:
    records = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    row = records.Record.FromString(made.history({"train/loss": 0.5}))
    assert [(item.key, item.value_json) for item in row.history.item] == [("train/loss", "0.5")]
    about = records.Record.FromString(made.run("calm", values={"epochs": 3})).run
    assert (about.display_name, about.run_id) == ("calm", "a1b2c3d4")
    assert about.config.update[0].value_json == "3"
    assert records.Record.FromString(made.console("line")).output_raw.line == "line"
    assert records.Record.FromString(made.config({"a": 1})).config.update[0].key == "a"
    assert records.Record.FromString(made.summary({"a": 1})).summary.update[0].key == "a"
