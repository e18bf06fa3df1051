"""Logs too long to be kept as they are: read in pieces, with neighbours averaged beyond half a million rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.json_logs import long_documents, long_rows
from ftadvise.readers.json_logs.window import Window

if TYPE_CHECKING:
    from pathlib import Path

    from ftadvise.run import Run


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat any file as a long one, and more than eight rows as many."""
    monkeypatch.setattr(long_documents, "LARGE", 0)
    monkeypatch.setattr(long_rows, "FEW", 8)
    monkeypatch.setattr(long_rows, "BATCH", 5)
    monkeypatch.setattr(long_documents, "BATCH", 5)
    monkeypatch.setattr(long_documents, "_CHUNK", 100)


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"step": s, "epoch": s / 10, "loss": 3.0 / s, "grad_norm": 1.0}
        for s in range(1, count + 1)
    ]


def write(tmp_path: Path, text: str, name: str = "log.jsonl") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(values: list[Any]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def told(run: Run) -> tuple[Any, ...]:
    """Return all that a run says, for comparison."""
    series = [
        (s.key, s.step.tolist(), s.epoch.tolist(), s.loss.tolist()) for s in (run.train, run.eval)
    ]
    rates = (run.lr.key, run.lr.step.tolist(), run.lr.rate.tolist())
    plan = (run.planned_epochs, run.planned_steps, run.settings, run.restarts, run.nonfinite)
    return repr((series, rates, plan, run.source.run, run.notes)), run.source.others


SHAPES: dict[str, Any] = {
    "rows": rows(40),
    "train and eval rows": [r for s in rows(40) for r in (s, {"step": s["step"], "eval_loss": 1.0})],
    "nested": [{"step": s, "train": {"loss": 1 / s}, "val": {"loss": 2 / s}} for s in range(1, 40)],
    "names change": [{"step": s, ("loss" if s % 3 else "val_loss"): 1 / s} for s in range(1, 40)],
    "marked": [{"split": ("train", "val")[s % 2], "step": s // 2, "loss": 1.0 / s} for s in range(2, 40)],
    "text and holes": [{"step": str(s), "loss": None if s % 5 == 0 else f"{1 / s:.3f}"} for s in range(1, 40)],
    "runs": [{"run": f"r{s % 2}", "step": s, "loss": 1.0 / s} for s in range(1, 40)],
    "some with a rate": [{"step": s, "loss": 1 / s, **({"lr": 0.1} if s % 3 else {})} for s in range(1, 40)],
    "restart": [{"step": s, "loss": 1.0 / s} for s in (*range(1, 30), *range(20, 40))],
    "two starts": [{"step": s, "loss": 1.0 / s} for s in (*range(1, 30), *range(1, 20))],
    "non-finite": [{"step": s, "loss": (1.0, float("nan"), float("inf"))[s % 3]} for s in range(1, 40)],
    "huge": [{"step": s, "loss": 10**400 if s == 7 else s} for s in range(1, 40)],
    "end of run": [*rows(30), {"train_runtime": 2.0, "train_loss": 1.0, "step": 30}],
    "one epoch repeated": [{"epoch": s // 10, "loss": 1.0} for s in range(40)],
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("frame", ["lines", "array", "state", "history", "indented"])
def test_a_log_read_in_pieces_says_the_same_as_one_read_whole(
    tmp_path: Path, request: pytest.FixtureRequest, shape: str, frame: str
) -> None:
    values = SHAPES[shape]
    text = {
        "lines": lines(values),
        "array": json.dumps(values),
        "state": json.dumps({"max_steps": 40, "log_history": values, "num_train_epochs": 2}),
        "history": json.dumps({"config": {"num_epochs": 9}, "n": 1.5, "train_history": values}),
        "indented": json.dumps({"history": values}, indent=2).replace("\n", "\r\n"),
    }[frame]
    path = write(tmp_path, text)
    whole = read_all(path)
    request.getfixturevalue("long")
    assert [told(run) for run in read_all(path)] == [told(run) for run in whole]


names = st.sampled_from(
    ["loss", "val_loss", "epoch", "step", "lr", "run", "value", "train", "split", "1"]
)
leaves = st.none() | st.booleans() | st.integers(-5, 10**330) | st.floats() | st.text(max_size=4)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(names, inner, max_size=5)
        | st.lists(st.dictionaries(names, leaves, max_size=4), max_size=7)
    ),
    max_leaves=30,
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(values=[{}, {"loss": 0}, None], indent=None)
@example(values=[{}, {}, {"loss": 0}], indent=1)
@given(values=st.lists(anything, min_size=1, max_size=4), indent=st.sampled_from([None, 1]))
def test_any_json_in_pieces_ends_like_any_json_read_whole(
    tmp_path: Path, values: list[Any], indent: int | None
) -> None:
    path = write(tmp_path, "\n".join(json.dumps(value, indent=indent) for value in values))
    whole = outcome(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_documents, "LARGE", 0)
        patch.setattr(long_documents, "_CHUNK", 7)
        assert outcome(path) == whole


def outcome(path: Path) -> Any:
    try:
        return [told(run) for run in read_all(path)]
    except LogError as error:
        return error.code


@pytest.mark.usefixtures("long")
def test_lines_that_are_no_json_are_counted_in_a_long_log_too(tmp_path: Path) -> None:
    text = lines(rows(10)) + "\n// restarted\n" + '{"step": 11, "lo\n' + lines(rows(30)[11:])
    run = read(write(tmp_path, text))
    assert run.train.step.tolist() == [*range(1, 11), *range(12, 31)]
    assert "2 lines are no JSON and skipped, the first is line 12." in run.notes


@pytest.mark.usefixtures("long")
def test_the_last_line_of_a_long_log_may_still_be_written(tmp_path: Path) -> None:
    run = read(write(tmp_path, lines(rows(20)) + '{"step": 21, "lo'))
    assert len(run.train) == 20
    assert run.notes == (
        "The file breaks at line 21 (it ends in the middle of a document); read up to there.",
    )


@pytest.mark.usefixtures("long")
def test_commas_between_lines_and_many_values_on_a_line_are_read(tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + ",\n" for row in rows(15))
    text += "".join(json.dumps(row) for row in rows(20)[15:])
    assert len(read(write(tmp_path, text)).train) == 20


@pytest.mark.usefixtures("long")
def test_a_long_document_that_is_cut_off_says_where(tmp_path: Path) -> None:
    text = json.dumps({"log_history": rows(40)}, indent=1)
    with pytest.raises(LogError, match="it ends in the middle of a document"):
        read(write(tmp_path, text[: len(text) // 2], "trainer_state.json"))


@pytest.mark.usefixtures("long")
def test_deeply_nested_lists_are_refused_in_a_long_file_too(tmp_path: Path) -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, '{"a": 1}\n{"b": ' + "[" * 100_000):
        with pytest.raises(LogError):
            read(write(tmp_path, text))


def test_beyond_the_limit_neighbours_are_averaged_and_evaluations_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: None
) -> None:
    monkeypatch.setattr(long_rows, "MAX_ROWS", 100)
    monkeypatch.setattr(long_rows, "_PENDING", 32)
    values = [
        row
        for s in range(1, 801)
        for row in ({"step": s, "loss": float(s)}, *([{"step": s, "eval_loss": s / 100}] * (s % 100 == 0)))
    ]  # fmt: skip
    run = read(write(tmp_path, lines(values)))
    assert len(run.train) <= 100
    assert run.eval.step.tolist() == list(range(100, 801, 100))
    assert run.eval.loss.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    # Each point stands for the rows since the one before, and carries the step of the last.
    first = np.concatenate([[0], run.train.step[:-1]])
    assert run.train.loss == pytest.approx((first + 1 + run.train.step) / 2)
    assert np.median(np.diff(first)) == first[1]  # the latest rows are averaged like the first
    assert any("808 rows" in note and "averaged" in note for note in run.notes)


def test_a_log_of_evaluations_alone_is_shortened_too_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: None
) -> None:
    monkeypatch.setattr(long_rows, "MAX_ROWS", 100)
    values = [{"step": s, "loss": 1.0, "eval_loss": 2.0} for s in range(1, 1001)]
    run = read(write(tmp_path, lines(values)))
    assert len(run.eval) <= 100
    assert set(run.eval.loss.tolist()) == {2.0}
    assert any("evaluations and non-finite values too" in note for note in run.notes)


def test_wide_rows_are_bounded_by_their_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: None
) -> None:
    monkeypatch.setattr(long_rows, "MAX_CELL_BYTES", 200_000)
    values = [{"step": s, **{f"loss_{k}": 1.0 for k in range(40)}} for s in range(1, 1001)]
    run = read(write(tmp_path, lines(values)))
    assert 50 < len(run.train) < 400


def test_more_runs_than_can_be_told_apart_are_left_out_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: None
) -> None:
    monkeypatch.setattr(long_rows, "MAX_LABELS", 3)
    values = [{"run": f"r{s // 4}", "step": s % 4, "loss": 1.0} for s in range(60)]
    runs = read_all(write(tmp_path, lines(values)))
    assert [run.source.run for run in runs] == ["r0", "r1", "r2"]
    assert any("More than 3 runs" in note for note in runs[0].notes)


def test_a_value_that_the_window_cuts_is_read_whole() -> None:
    text = '{"n": 12345, "x": -1.5e3 , "t": true, "s": "a\\u0041", "l": [10, 20]}'
    for size in (1, 2, 3, 7):
        window = Window(iter([text[at : at + size] for at in range(0, len(text), size)]))
        window.skip("{")
        found: dict[Any, Any] = {}
        while window.next() != "}":
            if found:
                window.skip(",")
            name = window.value()
            window.skip(":")
            found[name] = window.value()
        assert found == json.loads(text)
