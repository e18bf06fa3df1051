"""trainer_state.json of transformers, and our own training_metrics.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all

if TYPE_CHECKING:
    from pathlib import Path

    from ftadvise.run import Run

Row = dict[str, Any]


def rows(*steps: int, loss: float = 2.0, per_epoch: int = 20) -> list[Row]:
    return [
        {"step": s, "epoch": s / per_epoch, "loss": loss, "learning_rate": 1e-5, "grad_norm": 1.0}
        for s in steps
    ]


def evals(*steps: int, loss: float = 2.0, per_epoch: int = 20) -> list[Row]:
    return [{"step": s, "epoch": s / per_epoch, "eval_loss": loss} for s in steps]


def state(tmp_path: Path, history: list[Row], **more: Any) -> Path:
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"best_metric": None, "log_history": history, **more}))
    return path


def read_state(tmp_path: Path, history: list[Row], **more: Any) -> Run:
    return read(state(tmp_path, history, **more))


def test_train_and_eval_rows_become_two_series(tmp_path: Path) -> None:
    run = read_state(tmp_path, [*rows(10, 20), *evals(20), *rows(30, 40), *evals(40)])
    assert run.source.format == "trainer_state"
    assert (run.train.key, run.eval.key, run.lr.key) == ("loss", "eval_loss", "learning_rate")
    assert run.train.step.tolist() == [10, 20, 30, 40]
    assert run.eval.step.tolist() == [20, 40]
    assert run.eval.epoch.tolist() == [1, 2]
    assert run.steps_per_epoch == 20


def test_the_final_mean_is_no_point(tmp_path: Path) -> None:
    end = {"train_runtime": 9.0, "train_loss": 77.0, "step": 20, "epoch": 1.0, "total_flos": 1.0}
    run = read_state(tmp_path, [*rows(10, 20), end])
    assert run.train.loss.tolist() == [2.0, 2.0]


def test_the_final_mean_is_no_point_where_nothing_else_was_logged(tmp_path: Path) -> None:
    end = {"train_runtime": 9.0, "train_loss": 77.0, "step": 20, "epoch": 1.0}
    run = read_state(tmp_path, [*evals(10, 20), end])
    assert len(run.train) == 0
    assert len(run.eval) == 2


def test_the_last_of_two_evaluations_at_one_step_counts(tmp_path: Path) -> None:
    run = read_state(tmp_path, [*rows(10), *evals(10, loss=3.0), *evals(10, loss=1.0)])
    assert run.eval.loss.tolist() == [1.0]


def test_an_evaluation_before_training_is_kept(tmp_path: Path) -> None:
    run = read_state(tmp_path, [*evals(0), *rows(10), *evals(10)])
    assert run.eval.epoch.tolist() == [0, 0.5]


def test_a_resumed_run_replaces_the_rows_it_repeats(tmp_path: Path) -> None:
    history = [
        *rows(10, 20), *evals(20), *rows(30, 40), *evals(40, loss=9.0),
        *rows(30, 40, loss=1.0), *evals(40, loss=1.5),
    ]  # fmt: skip
    run = read_state(tmp_path, history)
    assert run.train.step.tolist() == [10, 20, 30, 40]
    assert run.train.loss.tolist() == [2, 2, 1, 1]
    assert run.eval.step.tolist() == [20, 40]
    assert run.eval.loss.tolist() == [2, 1.5]
    assert run.restarts == 1
    assert run.source.others == ()


def test_a_resume_drops_the_evaluations_it_undoes(tmp_path: Path) -> None:
    history = [*rows(10, 20, 30), *evals(30), *rows(20)]
    run = read_state(tmp_path, history)
    assert run.train.step.tolist() == [10, 20]
    assert len(run.eval) == 0


def test_a_fresh_start_lists_the_earlier_run(tmp_path: Path) -> None:
    history = [*rows(10, 20), *evals(20), *evals(0, loss=5.0), *rows(10, 20, 30), *evals(30)]
    runs = read_all(state(tmp_path, history))
    assert [len(run.train) for run in runs] == [2, 3]
    assert runs[1].eval.step.tolist() == [0, 30]
    run = read(tmp_path)
    assert run.train.step.tolist() == [10, 20, 30]
    assert run.source.others == (runs[0].source.run,)
    assert run.restarts == 1


@pytest.mark.parametrize(
    ("planned", "max_steps", "expected"),
    [
        (3, 60, 3.0),
        (3, 50, 2.5),
        (10, 50, 2.5),  # max_steps ends the run first
        (2**63 - 1, 50, 2.5),  # transformers' way to say that only steps count
        (3, 59.8, 3.0),  # steps of an epoch rounded down
    ],
)
def test_the_plan_ends_where_the_schedule_ends(
    tmp_path: Path, planned: float, max_steps: float, expected: float
) -> None:
    run = read_state(
        tmp_path, rows(10, 20), num_train_epochs=planned, max_steps=max_steps, global_step=20,
        epoch=1.0,
    )  # fmt: skip
    assert run.planned_epochs == pytest.approx(expected)
    assert run.planned_steps == max_steps


def test_early_stopping_and_intervals_are_settings(tmp_path: Path) -> None:
    stop = {"args": {"early_stopping_patience": 3, "early_stopping_threshold": 0.01}}
    run = read_state(
        tmp_path, [*rows(20, 40), *evals(20, 40)], eval_steps=500, save_steps=20,
        num_train_epochs=5, stateful_callbacks={"EarlyStoppingCallback": stop},
    )  # fmt: skip
    assert run.settings.early_stopping_patience == 3
    assert run.settings.early_stopping_threshold == 0.01
    assert run.settings.eval_steps == 20  # as it was done, not the default of 500
    assert run.settings.save_steps == 20
    assert run.settings.num_train_epochs == 5


def test_save_steps_that_were_not_used_are_left_out(tmp_path: Path) -> None:
    run = read_state(
        tmp_path, rows(20, 40), save_steps=500, best_model_checkpoint="x/checkpoint-20"
    )
    assert run.settings.save_steps is None


def test_non_finite_losses_and_gradients_are_counted(tmp_path: Path) -> None:
    history = rows(10, 20, 30)
    history[0]["grad_norm"] = float("nan")
    history[2]["loss"] = float("inf")
    run = read_state(tmp_path, history)
    assert run.nonfinite == {"grad_norm": 1, "loss": 1}


def test_an_empty_history_says_so(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="history is empty") as caught:
        read_state(tmp_path, [])
    assert caught.value.code == "FT405"


def test_a_file_of_that_name_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"balance": -1.5, "positions": [{"score": 1.0}, {"score": 2.0}]}))
    with pytest.raises(LogError):
        read(path)


def test_our_own_metrics_read_with_their_plan(tmp_path: Path) -> None:
    path = tmp_path / "training_metrics.json"
    history = [
        {"step": 12, "epoch": 0.5, "loss": 2.0, "eval_loss": None, "learning_rate": 1e-5},
        {"step": 24, "epoch": 1.0, "loss": 1.0, "eval_loss": 1.5, "learning_rate": 5e-6},
    ]
    config = {"training": {"num_train_epochs": 2, "early_stopping_patience": 3}}
    path.write_text(
        json.dumps({"schema": "ftadvise.metrics/1", "config": config, "history": history})
    )
    run = read(path)
    assert run.source.format == "trainer_state"
    assert run.eval.step.tolist() == [24]
    assert run.planned_epochs == 2
    assert run.settings.early_stopping_patience == 3
