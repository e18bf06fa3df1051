"""Tables in Parquet and Arrow files."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Source
from ftadvise.readers.table_logs import parquet
from ftadvise.testing import check_reader

GOOD = Path(__file__).parent / "good" / "parquet"
COLUMNS: dict[str, list[Any]] = {
    "step": [10, 20, 30, 40],
    "epoch": [0.5, 1.0, 1.5, 2.0],
    "train/loss": [3.0, 2.0, float("nan"), 1.0],
    "eval/loss": [None, 2.5, None, 1.5],
    "note": ["a", "b", None, "d"],
}


def written(folder: Path, columns: dict[str, list[Any]], kind: str) -> Path:
    arrow: Any = pytest.importorskip("pyarrow")
    table, path = arrow.table(columns), folder / f"log.{kind}"
    if kind == "parquet":
        pytest.importorskip("pyarrow.parquet").write_table(table, path, row_group_size=3)
    else:
        pytest.importorskip("pyarrow.feather").write_feather(table, str(path), chunksize=3)
    return path


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_columns_are_read_with_their_holes(tmp_path: Path, kind: str) -> None:
    run = read(written(tmp_path, COLUMNS, kind))
    assert run.source.format == "parquet"
    assert run.train.step.tolist() == [10, 20, 30, 40]
    assert run.nonfinite == {"train/loss": 1}
    assert (run.eval.step.tolist(), run.eval.loss.tolist()) == ([20, 40], [2.5, 1.5])
    assert run.steps_per_epoch == 20


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_a_column_may_say_whose_row_it_is(tmp_path: Path, kind: str) -> None:
    columns: dict[str, list[Any]] = {
        "seed": [1, 1, 1, 2, 2, 2],
        "epoch": [1, 2, 3] * 2,
        "loss": [3.0, 2, 1, 6, 5, 4],
    }
    first, second = read_all(written(tmp_path, columns, kind))
    assert (first.source.run, second.source.run) == ("seed 1", "seed 2")
    assert second.train.loss.tolist() == [6, 5, 4]


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_a_data_set_is_called_what_it_is(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, {"text": ["a", "b"], "label": [0, 1]}, kind)
    with pytest.raises(
        LogError, match="2 columns and 2 rows, none of them a loss: text"
    ) as caught:
        read(path)
    assert caught.value.code == "FT406"


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_a_table_over_the_limits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = written(tmp_path, COLUMNS, kind)
    monkeypatch.setattr(parquet, "MAX_ROWS", 3)
    with pytest.raises(LogError) as caught:
        read(path)
    assert caught.value.code == "FT407"


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(LogError, match="Parquet format, which only pyarrow reads") as caught:
        parquet.read(Source(GOOD / "history.parquet"))
    assert "ftadvise[parquet]" in caught.value.hint


def test_the_reader_keeps_the_contract_of_readers(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1" + bytes(50) + b"PAR1")
    check_reader(parquet.READER, sorted(GOOD.iterdir()), [bad])
