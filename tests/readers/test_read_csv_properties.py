"""Properties that hold for every table: what is written reads back, and nothing else breaks."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftadvise.errors import LogError
from ftadvise.readers import read
from ftadvise.readers.source import Source
from ftadvise.readers.table_logs import csv_table

if TYPE_CHECKING:
    from pathlib import Path

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))
cells = st.one_of(finite, st.none())
# 0 and -1 between numbers may stand for an evaluation that was not made.
evaluated = cells.filter(lambda x: x not in (0, -1))
histories = st.lists(st.tuples(finite, evaluated), min_size=2, max_size=30)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@QUICK
@given(history=histories, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_a_history_reads_back_equal_from_every_dialect(
    tmp_path: Path, delimiter: str, quoting: int, history: list[tuple[float, float | None]]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["step", "train_loss", "val_loss", "note, with; all| of\tthem"])
    writer.writerows([10 * n, t, v, 'a "b", c'] for n, (t, v) in enumerate(history, 1))
    path = tmp_path / "log.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    run = read(path)
    assert run.train.loss.tolist() == [t for t, _ in history]
    assert run.eval.loss.tolist() == [v for _, v in history if v is not None]
    assert run.eval.step.tolist() == [
        10 * n for n, (_, v) in enumerate(history, 1) if v is not None
    ]


@QUICK
@given(
    history=st.lists(st.tuples(cells, evaluated), min_size=3, max_size=40),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_numbers_are_those_that_pandas_reads(
    tmp_path: Path, history: list[tuple[float | None, float | None]], delimiter: str
) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "log.csv"
    pandas.DataFrame(history, columns=["loss", "val_loss"]).to_csv(path, sep=delimiter)
    known = pandas.read_csv(path, sep=delimiter, index_col=0)
    try:
        run = read(path)
    except LogError as error:
        assert known.isna().to_numpy().all(), error  # noqa: PT017 - nothing to read in it
        return
    for series, name in ((run.train, "loss"), (run.eval, "val_loss")):
        assert series.loss.tolist() == known[name].dropna().tolist()


@QUICK
@given(
    text=st.text("0123456789.,;|\t \n\r\"#-e'", max_size=200)
    | st.text(max_size=100)
    | st.lists(st.sampled_from(["step", "loss", ",", ";", "\n", "1", "2.5", '"', "val_loss", " "]))
    .map("".join),
)  # fmt: skip
def test_any_text_ends_in_a_run_or_in_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.csv"
    path.write_text(f"step,loss\n{text}", encoding="utf-8", errors="replace")
    try:
        runs = csv_table.read(Source(path))
    except LogError as error:
        assert error.message.isprintable()  # noqa: PT017 - either outcome is fine
    else:
        assert all(np.isfinite(run.train.loss).any() or len(run.train) for run in runs)
