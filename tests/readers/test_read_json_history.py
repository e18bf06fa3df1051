"""Loss histories in the shapes in which people write JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all

if TYPE_CHECKING:
    from pathlib import Path

    from ftadvise.run import Run


def read_json(tmp_path: Path, value: Any, name: str = "training_metrics.json") -> Run:
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return read(path)


def losses(run: Run) -> tuple[list[float], list[float]]:
    return run.train.loss.tolist(), run.eval.loss.tolist()


@pytest.mark.parametrize(
    "value",
    [
        {"train_loss": [3.0, 2.0, 1.5], "val_loss": [3.1, 2.4, 2.2]},
        {"epochs": [1, 2, 3], "Training Loss": [3.0, 2.0, 1.5], "valLoss": [3.1, 2.4, 2.2]},
        {"info": {"model": "m"}, "history": {"loss": [3.0, 2.0, 1.5], "dev_loss": [3.1, 2.4, 2.2]}},
        {"train": {"loss": [3.0, 2.0, 1.5]}, "dev": {"loss": [3.1, 2.4, 2.2]}},
        {"loss": {"train": [3.0, 2.0, 1.5], "validation": [3.1, 2.4, 2.2]}},
        {"train": {"loss": {"1": 3.0, "2": 2.0, "3": 1.5}}, "dev": {"loss": {"1": 3.1, "2": 2.4, "3": 2.2}}},
        {"train_loss": [{"epoch": e, "value": v} for e, v in ((1, 3.0), (2, 2.0), (3, 1.5))],
         "val_loss": [{"epoch": e, "value": v} for e, v in ((1, 3.1), (2, 2.4), (3, 2.2))]},
        [{"epoch": 1, "train_loss": 3.0, "val_loss": 3.1}, {"epoch": 2, "train_loss": 2.0, "val_loss": 2.4},
         {"epoch": 3, "train_loss": "1.5", "val_loss": "2.2"}],
        {"epochs": [{"epoch": 1, "avg_loss": 3.0, "val": {"loss": 3.1}}, {"epoch": 2, "avg_loss": 2.0, "val": {"loss": 2.4}},
                    {"epoch": 3, "avg_loss": 1.5, "val": {"loss": 2.2}}], "hyperparameters": {"epochs": 3}},
        {"epoch_1": {"train_loss": 3.0, "val_loss": 3.1}, "epoch_2": {"train_loss": 2.0, "val_loss": 2.4},
         "epoch_3": {"train_loss": 1.5, "val_loss": 2.2}},
        {"train_history": [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}, {"epoch": 3, "loss": 1.5}],
         "val_history": [{"epoch": 1, "loss": 3.1}, {"epoch": 2, "loss": 2.4}, {"epoch": 3, "loss": 2.2}]},
        [{"split": s, "epoch": e, "loss": v} for s, e, v in
         (("train", 1, 3.0), ("val", 1, 3.1), ("train", 2, 2.0), ("val", 2, 2.4), ("train", 3, 1.5), ("val", 3, 2.2))],
    ],
)  # fmt: skip
def test_every_shape_of_the_same_history_reads_the_same(tmp_path: Path, value: Any) -> None:
    run = read_json(tmp_path, value)
    assert losses(run) == ([3.0, 2.0, 1.5], [3.1, 2.4, 2.2])
    assert run.train.epoch.tolist() == [1, 2, 3]
    assert run.eval.epoch.tolist() == [1, 2, 3]
    assert np.isnan(run.train.step).all()
    assert run.source.format == "json_history"


def test_each_series_keeps_its_own_steps(tmp_path: Path) -> None:
    run = read_json(
        tmp_path,
        {"train_loss": 1.2, "train_losses_history": [3, 2, 1], "train_steps": [10, 20, 30],
         "eval_losses_history": [2.5, 2.0], "eval_steps": [15, 30]},
    )  # fmt: skip
    assert run.train.key == "train_losses_history"
    assert run.train.step.tolist() == [10, 20, 30]
    assert run.eval.key == "eval_losses_history"
    assert run.eval.step.tolist() == [15, 30]


def test_evaluations_without_a_time_are_spread_over_the_run_and_it_says_so(tmp_path: Path) -> None:
    run = read_json(
        tmp_path, {"train_loss": [5, 4, 3, 2], "steps": [10, 20, 30, 40], "val_loss": [4, 3]}
    )
    assert run.eval.step.tolist() == [20, 40]
    assert any("spread" in note for note in run.notes)


def test_far_fewer_evaluations_than_losses_count_as_epochs(tmp_path: Path) -> None:
    run = read_json(tmp_path, {"train_losses": list(range(100, 0, -1)), "test_losses": [3.0, 2.0]})
    assert run.eval.epoch.tolist() == [1, 2]
    assert run.train.epoch[[49, 99]].tolist() == [1, 2]


def test_one_more_evaluation_than_losses_is_one_before_training(tmp_path: Path) -> None:
    run = read_json(tmp_path, {"train_loss": [3, 2], "val_loss": [9, 3.5, 2.5]})
    assert run.eval.epoch.tolist() == [0, 1, 2]


def test_epochs_from_zero_are_shifted_and_it_says_so(tmp_path: Path) -> None:
    rows = [{"epoch": e, "loss": 3.0 - e, "val_loss": 3.5 - e} for e in range(3)]
    run = read_json(tmp_path, rows)
    assert run.train.epoch.tolist() == run.eval.epoch.tolist() == [1, 2, 3]
    assert any("from 0" in note for note in run.notes)


def test_epochs_that_are_not_the_index_are_kept(tmp_path: Path) -> None:
    rows = [{"epoch": e, "train_loss": 1.0} for e in (1, 3, 6)]
    assert read_json(tmp_path, rows).train.epoch.tolist() == [1, 3, 6]


def test_batches_counted_anew_in_each_epoch_become_steps(tmp_path: Path) -> None:
    rows = [
        {"epoch": e, "batch": b, "loss": 1.0 / (e * 4 + b)} for e in (1, 2, 3) for b in range(4)
    ]
    run = read_json(tmp_path, {"batch_metrics": rows})
    assert run.train.step.tolist() == list(range(1, 13))
    assert run.train.epoch.tolist() == [x / 4 for x in range(1, 13)]


def test_a_null_is_a_hole_and_a_nan_is_a_value(tmp_path: Path) -> None:
    run = read_json(
        tmp_path,
        '[{"step": 1, "loss": 2.0, "val_loss": null}, {"step": 2, "loss": NaN, "val_loss": 1.5},'
        ' {"step": 3, "loss": Infinity}, {"step": 4, "loss": null}, {"step": 5, "loss": 1.0}]',
    )
    assert run.train.step.tolist() == [1, 2, 3, 5]
    assert np.isnan(run.train.loss).tolist() == [False, True, True, False]
    assert run.nonfinite == {"loss": 2}
    assert run.eval.step.tolist() == [2]


@pytest.mark.parametrize(
    ("value", "train", "eval_"),
    [
        ({"total_loss": [2, 1], "ibot_loss": [1, 0.5]}, "total_loss", None),
        ({"ce_losses": [2, 1], "train_losses": [3, 2]}, "train_losses", None),
        ({"train_loss": [2, 1], "val_loss": [2, 1], "test_loss": [1, 0]}, "train_loss", "val_loss"),
        ({"train_loss": [2, 1], "test_loss": [1, 0]}, "train_loss", "test_loss"),
        ({"train_mse": [2, 1], "train_physics": [0, 0], "val_loss": [2, 1]}, "train_mse", "val_loss"),
        ({"loss": [2, 1], "best_val_loss": [2, 1], "loss_min": [2, 1]}, "loss", None),
        ({"loss": [2, 1], "log_loss": [9, 8], "capital-loss": [0, 0]}, "loss", None),
        ({"history": {"loss": [2, 1]}, "params": {"loss": "mse"}}, "loss", None),
    ],
)  # fmt: skip
def test_the_objective_is_taken_and_what_only_looks_like_it_is_not(
    tmp_path: Path, value: Any, train: str, eval_: str | None
) -> None:
    run = read_json(tmp_path, value)
    assert (run.train.key, run.eval.key) == (train, eval_)


def test_runs_in_one_file_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    def points(*values: float) -> list[dict[str, float]]:
        return [{"step": i, "value": v, "epoch": i / 10} for i, v in enumerate(values, 1)]

    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"metrics": {"A/loss": points(3, 2, 1), "B/loss": points(5, 4)}}))
    run = read(path)
    assert run.source.run == "A"
    assert run.source.others == ("B",)
    assert read(path, run="B").train.loss.tolist() == [5, 4]
    with pytest.raises(LogError) as caught:
        read(path, run="C")
    assert caught.value.code == "FT409"
    assert "A, B" in caught.value.hint


def test_folds_are_runs_and_the_one_with_eval_loss_wins(tmp_path: Path) -> None:
    folds = [
        {"fold": 1, "metrics": [{"epoch": e, "train_loss": 1.0, "val_loss": 1.0} for e in (1, 2)]},
        {"fold": 2, "metrics": [{"epoch": e, "train_loss": 1.0} for e in range(1, 6)]},
    ]
    run = read_json(tmp_path, folds)
    assert run.source.run == "fold 1"
    assert run.source.others == ("fold 2",)


def test_one_row_per_fold_is_no_history(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="one final value per fold") as caught:
        read_json(tmp_path, [{"fold": k, "train_loss": 0.3, "val_loss": 0.4} for k in range(5)])
    assert caught.value.code == "FT405"


def test_lines_that_end_other_trainings_are_no_history(tmp_path: Path) -> None:
    lines = [json.dumps({"train_loss": x, "num_epochs": 50, "lr": 1e-4}) for x in (3.0, 9.0)]
    with pytest.raises(LogError, match="one final value per run"):
        read_json(tmp_path, "\n".join(lines))


def test_final_values_are_named_and_not_taken_for_a_curve(tmp_path: Path) -> None:
    with pytest.raises(
        LogError, match=r"final values only: train_loss 0\.7047; epoch 5"
    ) as caught:
        read_json(tmp_path, {"train_runtime": 1236.2, "train_loss": 0.7047, "epoch": 5.0})
    assert caught.value.code == "FT405"
    assert "trainer_state.json" in caught.value.hint


def test_the_numbers_of_a_settings_file_are_not_called_final_values(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="single numbers only: lr 1e-05; batch 4"):
        read_json(tmp_path, {"lr": 1e-5, "batch": 4})


def test_metrics_without_a_loss_are_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="train_accuracy, val_accuracy") as caught:
        read_json(tmp_path, {"train_accuracy": [0.5, 0.8], "val_accuracy": [0.2, 0.8]})
    assert caught.value.code == "FT406"


def test_llamafactory_lines_give_steps_and_the_plan(tmp_path: Path) -> None:
    lines = [
        {
            "current_steps": s,
            "total_steps": 100,
            "loss": 2.0 - s / 100,
            "lr": 1e-5,
            "epoch": s / 25,
        }
        for s in range(10, 101, 10)
    ]
    lines.append({"current_steps": 100, "total_steps": 100, "epoch": 4.0})
    run = read_json(tmp_path, "\n".join(map(json.dumps, lines)), "trainer_log.jsonl")
    assert run.train.step.tolist() == list(range(10, 101, 10))
    assert (run.planned_steps, run.planned_epochs) == (100, 4)
    assert run.lr.key == "lr"
    assert len(run.lr) == 10


def test_a_fresh_start_in_one_file_is_another_run(tmp_path: Path) -> None:
    steps = [0, 1, 2, 3, 0, 1]
    lines = [json.dumps({"step": s, "epoch": 0, "loss": 1.0 + i}) for i, s in enumerate(steps)]
    path = tmp_path / "training.jsonl"
    path.write_text("\n".join(lines))
    first, second = read_all(path)
    assert first.train.step.tolist() == [0, 1, 2, 3]
    assert second.train.loss.tolist() == [5, 6]
    assert first.restarts == second.restarts == 1
    assert np.isnan(first.train.epoch).all()  # an epoch that never moves says nothing


def test_rows_of_two_processes_are_put_in_order(tmp_path: Path) -> None:
    rows = [{"step": s + 1 - 2 * (s % 2), "loss": float(s)} for s in range(100)]
    run = read_json(tmp_path, rows)
    assert run.train.step.tolist() == list(range(100))
    assert any("order of time" in note for note in run.notes)


def test_settings_are_taken_under_their_known_names(tmp_path: Path) -> None:
    run = read_json(
        tmp_path,
        {"config": {"num_train_epochs": 4, "eval_steps": 24, "load_best_model_at_end": True,
                    "early_stopping_patience": 3, "lr_scheduler_type": "cosine", "seed": 1},
         "history": [{"epoch": e, "loss": 1.0} for e in (1, 2)]},
    )  # fmt: skip
    assert run.planned_epochs == 4
    assert run.settings.eval_steps == 24
    assert run.settings.early_stopping_patience == 3
    assert run.settings.load_best_model_at_end is True
    assert run.settings.lr_scheduler_type == "cosine"


def test_arrays_are_read_only_float64(tmp_path: Path) -> None:
    run = read_json(tmp_path, {"loss": [2, 1]})
    assert run.train.loss.dtype == np.float64
    assert not run.train.loss.flags.writeable
