"""What only fills a row in which no loss was logged is no loss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ftadvise.readers import read

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")


def read_json(folder: Path, value: Any) -> Any:
    path = folder / "training_metrics.json"
    path.write_text(json.dumps(value))
    return read(path)


@pytest.mark.parametrize("filler", [NAN, 0, -1.0])
@pytest.mark.parametrize("shape", ["rows", "lists"])
def test_an_eval_loss_that_is_filled_up_has_the_points_that_were_logged(
    tmp_path: Path, filler: float, shape: str
) -> None:
    rows = [
        {"step": s, "loss": 4 / s, "val_loss": filler if s % 3 else 6 / s} for s in range(1, 7)
    ]
    value = rows if shape == "rows" else {key: [row[key] for row in rows] for key in rows[0]}
    run = read_json(tmp_path, value)
    assert (run.eval.loss.tolist(), len(run.train), run.nonfinite) == ([2, 1], 6, {})
    assert run.eval.step.tolist() == [3, 6]
    assert f"val_loss is {filler:g} in rows between its numbers" in run.notes[0]


def test_train_and_eval_loss_that_are_logged_in_turn(tmp_path: Path) -> None:
    rows = [{"step": s, "loss": 8 / s, "eval_loss": NAN} for s in (1, 2, 4, 8)]
    rows.insert(2, {"step": 2, "loss": NAN, "eval_loss": 5})
    rows.append({"step": 8, "loss": NAN, "eval_loss": 3})
    run = read_json(tmp_path, rows)
    assert (run.train.loss.tolist(), run.eval.loss.tolist()) == ([8, 4, 2, 1], [5, 3])
    assert run.nonfinite == {}


@pytest.mark.parametrize(
    "evaluated",
    [
        [5, 4, NAN, NAN, NAN, NAN],  # a run that broke
        [5, NAN, 4, 3, NAN, 2],  # less than half
        [1, 0.125, 0, 0, 0.001, 0],  # a loss that came near to it by itself
    ],
)
def test_values_that_were_logged_stay(tmp_path: Path, evaluated: list[float]) -> None:
    rows = [{"step": s, "loss": 1, "val_loss": v} for s, v in enumerate(evaluated)]
    run = read_json(tmp_path, rows)
    np.testing.assert_array_equal(run.eval.loss, evaluated)
    assert run.notes == ()


def test_an_evaluation_with_a_row_of_its_own_was_made(tmp_path: Path) -> None:
    losses = [NAN, NAN, 3, NAN, NAN, 2]
    train: list[dict[str, float]] = [{"step": s, "loss": 1} for s in range(6)]
    rows = train + [{"step": s, "eval_loss": value} for s, value in enumerate(losses)]
    run = read_json(tmp_path, rows)
    assert (len(run.eval), run.nonfinite) == (6, {"eval_loss": 4})
