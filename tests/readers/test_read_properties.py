"""Properties that hold for any history and for any JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.testing import check_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftadvise.run import Run

Points = list[tuple[int, float, float]]  # epoch, train loss, eval loss
QUICK = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

loss = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))
# 0 and -1 between numbers may stand for an evaluation that was not made.
evaluated = loss.filter(lambda x: x not in (0, -1))
points = st.lists(st.tuples(st.integers(1, 9), loss, evaluated), min_size=2, max_size=30).map(
    lambda steps: [
        (int(epoch), train, held_out)
        for epoch, (_, train, held_out) in zip(
            np.cumsum([gap for gap, _, _ in steps]), steps, strict=True
        )
    ]
)

SHAPES: dict[str, Callable[[Points], Any]] = {
    "rows": lambda p: [{"epoch": e, "train_loss": t, "val_loss": v} for e, t, v in p],
    "rows apart": lambda p: [
        row for e, t, v in p for row in ({"epoch": e, "loss": t}, {"epoch": e, "eval_loss": v})
    ],
    "nested rows": lambda p: {
        "a": {"history": [{"epoch": e, "train": {"loss": t}, "val": {"loss": v}} for e, t, v in p]}
    },
    "lists": lambda p: {
        "epoch": [e for e, _, _ in p], "losses": [t for _, t, _ in p],
        "val_losses": [v for _, _, v in p],
    },
    "by epoch": lambda p: {
        "train_loss": {str(e): t for e, t, _ in p}, "val_loss": {str(e): v for e, _, v in p}
    },
    "points": lambda p: {
        "train_loss": [{"epoch": e, "value": t} for e, t, _ in p],
        "val_loss": [{"epoch": e, "value": v} for e, _, v in p],
    },
    "state": lambda p: {
        "log_history": [
            row for e, t, v in p
            for row in ({"epoch": e, "step": 7 * e, "loss": t},
                        {"epoch": e, "step": 7 * e, "eval_loss": v})
        ]
    },
    "strings": lambda p: [{"epoch": str(e), "loss": str(t), "val_loss": str(v)} for e, t, v in p],
}  # fmt: skip
RENDERINGS: dict[str, Callable[[Any], str]] = {
    "plain": json.dumps,
    "indented": lambda value: json.dumps(value, indent=2).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("rendering", RENDERINGS)
@pytest.mark.parametrize("shape", SHAPES)
@QUICK
@given(history=points)
def test_a_history_reads_back_equal_from_every_shape(
    tmp_path: Path, shape: str, rendering: str, history: Points
) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(RENDERINGS[rendering](SHAPES[shape](history)).encode())
    run = read(path)
    epochs, train, held_out = (list(values) for values in zip(*history, strict=True))
    assert run.train.loss.tolist() == train
    assert run.eval.loss.tolist() == held_out
    assert run.train.epoch.tolist() == epochs
    assert run.eval.epoch.tolist() == epochs


@pytest.mark.parametrize("between", ["\n", "", ",\n"])
@QUICK
@given(history=points)
def test_rows_appended_one_by_one_read_like_a_list(
    tmp_path: Path, between: str, history: Points
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(between.join(map(json.dumps, SHAPES["rows"](history))))
    assert read(path).train.loss.tolist() == [t for _, t, _ in history]


names = st.sampled_from(
    ["loss", "train_loss", "val_loss", "epoch", "step", "lr", "fold", "metrics", "history", "value",
     "train", "eval", "1", "2", "grad_norm", "total_steps", "log_history", "split", "config",
     "num_train_epochs", "A/loss", "B/loss", "train_runtime", "early_stopping_patience"]
)  # fmt: skip
leaves = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**400) | st.floats() | st.text(max_size=8)
    | st.integers(0, 5) | st.sampled_from(["val", "NaN", "1e3", "No log"])
)  # fmt: skip
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(names, inner, max_size=6)
        | st.lists(st.dictionaries(names, leaves, max_size=5), max_size=8)
    ),
    max_leaves=40,
)


def well_formed(run: Run) -> bool:
    for series in (run.train, run.eval):
        for axis in (series.step, series.epoch):
            known = axis[np.isfinite(axis)]
            if axis.size != series.loss.size or (np.diff(known) < 0).any():
                return False
    return len(run.train) + len(run.eval) > 0


@settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=anything)
def test_any_json_ends_in_a_run_or_a_log_error(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "any.json"
    path.write_text(json.dumps(value))
    try:
        runs = read_all(path)
    except LogError as error:
        assert error.message.isprintable()  # noqa: PT017 - either outcome is fine
        assert "failed" not in error.message  # noqa: PT017 - refused, not tripped over
    else:
        assert all(well_formed(run) for run in runs)


@QUICK
@given(content=st.binary(max_size=300) | st.text('{}[]",:0.1eNa \n', max_size=200).map(str.encode))
def test_any_bytes_end_in_a_run_or_a_log_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.json"
    path.write_bytes(content)
    try:
        runs = read_all(path)
    except LogError as error:
        assert "failed" not in error.message  # noqa: PT017
        return
    assert all(well_formed(run) for run in runs)


def test_our_readers_keep_the_contract_of_readers(tmp_path: Path) -> None:
    from ftadvise.readers.json_logs import json_history, trainer_state

    history: Points = [(epoch, 3.0 / epoch, 3.5 / epoch) for epoch in range(1, 40)]
    for shape, make in SHAPES.items():
        (tmp_path / f"{shape}.json").write_text(json.dumps(make(history)))
    bad = tmp_path / "bad.txt"
    bad.write_text("nothing here\n")
    check_reader(trainer_state.READER, [tmp_path / "state.json"], [bad])
    check_reader(json_history.READER, [tmp_path / f"{shape}.json" for shape in SHAPES], [bad])
