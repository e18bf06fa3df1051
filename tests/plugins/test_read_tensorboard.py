"""TensorBoard event files, from what several writers write to the run that it was."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import made_events as made
import numpy as np
import pytest
from made_events import event, simple

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Source
from ftadvise.readers.wanted import Wanted
from ftadvise.run import Run
from ftadvise_plugins.tensorboard import files, reader
from ftadvise_plugins.tensorboard.reader import READER

STEPS = range(1, 31)


def run_of(path: Path) -> Run:
    runs = READER.read(Source(path, files=files.gather(path)))
    assert len(runs) == 1
    return runs[0]


def test_the_log_of_a_trainer_becomes_its_run(tmp_path: Path) -> None:
    run = run_of(made.write(tmp_path, made.trainer_rows(STEPS)))
    assert (run.train.key, run.eval.key, run.lr.key) == (
        "train/loss", "eval/loss", "train/learning_rate",
    )  # fmt: skip
    assert run.train.step.tolist() == list(STEPS)
    assert run.train.loss.tolist() == [float(np.float32(3.0 / s)) for s in STEPS]
    assert run.train.epoch == pytest.approx([s / 10 for s in STEPS])
    assert run.eval.step.tolist() == [10, 20, 30]
    assert run.eval.epoch == pytest.approx([1, 2, 3])
    assert run.steps_per_epoch == 10
    assert run.notes == ()


def test_the_file_is_found_by_its_content_and_in_its_folder(tmp_path: Path) -> None:
    path = made.write(tmp_path / "runs" / "Aug08_host" / made.name(), made.trainer_rows(STEPS))
    elsewhere = path.rename(tmp_path / "download")
    assert read(elsewhere).source.format == "tensorboard"
    elsewhere.rename(path)
    assert len(read(tmp_path / "runs").train) == 30


def test_several_values_of_one_event_are_all_read(tmp_path: Path) -> None:
    rows = [event(s, simple("loss", s), simple("val_loss", s + 1)) for s in range(1, 5)]
    run = run_of(made.write(tmp_path, rows))
    assert run.train.loss.tolist() == [1, 2, 3, 4]
    assert run.eval.loss.tolist() == [2, 3, 4, 5]


def test_keras_writes_a_folder_per_split_and_the_epoch_as_the_step(tmp_path: Path) -> None:
    for split, shift in (("train", 0.0), ("validation", 1.0)):
        rows = [
            event(e, made.tensor("epoch_loss", made.FLOAT, struct.pack("<f", 9 - e + shift)),
                  wall=made.START + e + shift / 2)
            for e in range(5)
        ]  # fmt: skip
        made.write(tmp_path / split / made.name(), rows)
    run = run_of(tmp_path / "train" / made.name())
    assert (run.train.key, run.eval.key) == ("train.epoch_loss", "validation.epoch_loss")
    assert run.train.epoch.tolist() == run.eval.epoch.tolist() == [1, 2, 3, 4, 5]
    assert run.train.loss.tolist() == [9, 8, 7, 6, 5]
    assert run.eval.loss.tolist() == [10, 9, 8, 7, 6]
    assert np.isnan(run.train.step).all()
    assert any("numbered from 0" in note for note in run.notes)


def test_the_validation_file_of_keras_is_known_by_what_only_it_holds(tmp_path: Path) -> None:
    rows = [
        event(e, made.tensor(name, made.FLOAT, struct.pack("<f", 2.0)))
        for e in range(3)
        for name in ("evaluation_loss_vs_iterations", "epoch_loss")
    ]
    run = run_of(made.write(tmp_path, rows))
    assert (run.train.key, run.eval.key) == (None, "epoch_loss")
    assert run.eval.epoch.tolist() == [1, 2, 3]


@pytest.mark.parametrize("folder", ["Loss_all_{}", "Loss/all/{}"])
def test_add_scalars_writes_a_folder_per_name(tmp_path: Path, folder: str) -> None:
    made.write(tmp_path / made.name(), [event(1, simple("accuracy", 0.5))])
    for split in ("train", "val"):
        rows = [event(s, simple("Loss/all", 9 - s), wall=made.START + s) for s in (10, 20, 30)]
        made.write(tmp_path / folder.format(split) / made.name(), rows)
    run = run_of(tmp_path / folder.format("val") / made.name())
    assert (run.train.key, run.eval.key) == ("Loss/all/train", "Loss/all/val")
    assert run.eval.step.tolist() == [10, 20, 30]


def test_the_files_of_one_folder_continue_each_other(tmp_path: Path) -> None:
    made.write(tmp_path / made.name(0), made.trainer_rows(range(1, 21)))
    made.write(tmp_path / made.name(90, 1), [event(20, simple("eval/loss", 0.25))])
    run = run_of(tmp_path / made.name(0))
    assert (len(run.train), run.eval.loss.tolist()[-1]) == (20, 0.25)


def test_files_of_one_second_are_read_in_the_order_of_their_counts(tmp_path: Path) -> None:
    names = [f"events.out.tfevents.1700000000.host.7.{count}" for count in (9, 10, 11)]
    for place, file in enumerate(names):
        made.write(tmp_path / file, [event(10 + place, simple("loss", 1.0))])
    assert [path.name for path in files.gather(tmp_path / names[1])] == names


def test_a_resumed_run_replaces_what_it_repeats(tmp_path: Path) -> None:
    made.write(
        tmp_path / made.name(0), [event(s, simple("loss", 1.0)) for s in range(10, 110, 10)]
    )
    later = [event(s, simple("loss", 2.0)) for s in range(60, 160, 10)]
    made.write(tmp_path / made.name(90), later)
    run = run_of(tmp_path / made.name(0))
    assert run.train.step.tolist() == list(range(10, 160, 10))
    assert run.train.loss.tolist() == [1.0] * 5 + [2.0] * 10
    assert run.restarts == 1


def test_a_purge_step_voids_what_was_written_from_there(tmp_path: Path) -> None:
    made.write(
        tmp_path / made.name(0), [event(s, simple("loss", 1.0)) for s in range(10, 110, 10)]
    )
    later = [made.session(50), *(event(s, simple("loss", 2.0)) for s in range(80, 130, 10))]
    made.write(tmp_path / made.name(90), later)
    run = run_of(tmp_path / made.name(0))
    assert run.train.step.tolist() == [10, 20, 30, 40, 80, 90, 100, 110, 120]
    assert any("resumed at step 50" in note for note in run.notes)


def test_a_second_training_in_the_same_folder_is_a_run_of_its_own(tmp_path: Path) -> None:
    made.write(tmp_path / made.name(0), made.trainer_rows(range(1, 21)))
    made.write(tmp_path / made.name(90), made.trainer_rows(range(1, 31)))
    runs = READER.read(
        Source(tmp_path / made.name(0), files=files.gather(tmp_path / made.name(0)))
    )
    assert [len(run.train) for run in runs] == [20, 30]


def test_the_arguments_of_transformers_say_what_was_planned(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "num_train_epochs": 5, "max_steps": -1, "eval_strategy": "epoch", "eval_steps": 500,
        "save_strategy": "steps", "save_steps": 40, "save_total_limit": 2,
        "lr_scheduler_type": "cosine", "load_best_model_at_end": True,
    }  # fmt: skip
    words = event(0, made.text("args", json.dumps(arguments, indent=2)))
    model = event(0, made.text("model_config", '{"num_train_epochs": 99}'))
    run = run_of(made.write(tmp_path, [model, words, *made.trainer_rows(STEPS)]))
    assert run.planned_epochs == 5
    assert run.settings.eval_steps is None, "a default that the strategy does not use"
    assert (run.settings.save_steps, run.settings.save_total_limit) == (40, 2)
    assert (run.settings.lr_scheduler_type, run.settings.load_best_model_at_end) == (
        "cosine",
        True,
    )


def test_an_interval_that_is_a_share_of_the_run_is_no_number_of_steps(tmp_path: Path) -> None:
    words = event(0, made.text("args", '{"eval_strategy": "steps", "eval_steps": 0.1}'))
    run = run_of(made.write(tmp_path, [words, *made.trainer_rows(STEPS)]))
    assert run.settings.eval_steps is None


def test_a_limit_in_steps_is_the_end_of_the_schedule(tmp_path: Path) -> None:
    words = event(0, made.text("args", '{"num_train_epochs": 3.0, "max_steps": 25}'))
    run = run_of(made.write(tmp_path, [words, *made.trainer_rows(range(1, 26))]))
    assert (run.planned_steps, run.planned_epochs) == (25, 2.5)


@pytest.mark.parametrize(
    "setup",
    [
        made.text("hyperparameters", "|param|value|\n|-|-|\n|num_epochs|4|\n|lr|1e-4|"),
        made.text("config", "    learning_rate: 0.1\n    max_epochs: 4,\n"),
        made.hyperparameters({"lr": 0.1, "epochs": 4.0, "name": "x", "fast": True}),
    ],
)
def test_other_ways_to_write_the_planned_epochs(tmp_path: Path, setup: bytes) -> None:
    rows = made.trainer_rows(STEPS)
    assert run_of(made.write(tmp_path, [event(0, setup), *rows])).planned_epochs == 4


def test_final_values_beside_hyperparameters_are_no_evaluations(tmp_path: Path) -> None:
    made.write(tmp_path / made.name(), [event(s, simple("loss", 1.0)) for s in (10, 20, 30)])
    about = [event(0, made.hyperparameters({"epochs": 2.0})), event(0, simple("val_loss", 0.3))]
    made.write(tmp_path / "1700000031.25" / made.name(31), about)
    run = run_of(tmp_path / made.name())
    assert (len(run.train), len(run.eval), run.settings.num_train_epochs) == (3, 0, None)
    assert len(files.gather(tmp_path / "1700000031.25" / made.name(31))) == 2


def test_the_mean_over_the_run_is_no_train_loss(tmp_path: Path) -> None:
    end = [event(30, simple(f"train/{n}", 7.0)) for n in ("train_runtime", "train_loss")]
    assert 7.0 not in run_of(made.write(tmp_path, [*made.trainer_rows(STEPS), *end])).train.loss
    with pytest.raises(LogError) as caught:
        READER.read(Source(made.write(tmp_path / "b", end)))
    assert caught.value.code in ("FT405", "FT406")


def test_evaluations_by_epoch_are_placed_among_steps_by_when_they_were_written(
    tmp_path: Path,
) -> None:
    rows: list[bytes] = []
    for step in range(200):
        rows.append(event(step, simple("Loss/train", 9.0)))
        if step % 50 == 49:
            rows.append(event(step // 50, simple("Loss/val", 4.0)))
    run = run_of(made.write(tmp_path, rows))
    assert run.eval.step.tolist() == [49, 99, 149, 199]
    assert run.eval.epoch.tolist() == [1, 2, 3, 4]
    assert any("taken for epochs" in note for note in run.notes)


def test_train_and_eval_loss_at_every_step_are_epochs(tmp_path: Path) -> None:
    rows = [event(e, simple(f"Loss/{s}", 1.0)) for e in range(8) for s in ("train", "val")]
    run = run_of(made.write(tmp_path, rows))
    assert run.eval.epoch.tolist() == run.train.epoch.tolist() == list(range(1, 9))


def test_the_epoch_in_progress_of_lightning_becomes_epochs_done(tmp_path: Path) -> None:
    rows: list[bytes] = []
    for step in range(90):
        epoch = simple("epoch", step // 18)
        if step % 7 == 6:
            rows += [event(step, simple("train_loss", 1.0)), event(step, epoch)]
        if step % 18 == 17:
            rows += [event(step, simple("val_loss", 1.0)), event(step, epoch)]
    run = run_of(made.write(tmp_path, rows))
    assert run.eval.epoch.tolist() == [1, 2, 3, 4, 5]
    assert run.train.epoch == pytest.approx([(s + 1) / 18 for s in range(6, 90, 7)])


def test_epochs_that_stand_at_their_ends_are_done(tmp_path: Path) -> None:
    rows = [event(0, simple("eval/loss", 5.0)), event(0, simple("train/epoch", 0))]
    for epoch in (1, 2, 3):
        for tag, value in (("train/loss", 1.0), ("eval/loss", 2.0), ("train/epoch", epoch)):
            rows.append(event(100 * epoch, simple(tag, value)))
    run = run_of(made.write(tmp_path, rows))
    assert run.eval.epoch.tolist() == [0, 1, 2, 3]
    assert run.train.epoch.tolist() == [1, 2, 3]


def test_scalars_without_any_step_are_numbered(tmp_path: Path) -> None:
    run = run_of(made.write(tmp_path, [event(0, simple("loss", v)) for v in (3, 2, 1)]))
    assert (run.train.loss.tolist(), run.train.epoch.tolist()) == ([3, 2, 1], [1, 2, 3])


def test_folds_in_one_file_are_runs(tmp_path: Path) -> None:
    rows = [
        event(s, simple(f"fold_{k}/{n}", k))
        for s in (10, 20, 30)
        for k in (1, 2)
        for n in ("train/loss", "val/loss")
    ]
    runs = READER.read(Source(made.write(tmp_path, rows)))
    assert [(r.source.run, r.train.loss[0], len(r.eval)) for r in runs] == [
        ("fold_1", 1, 3), ("fold_2", 2, 3),
    ]  # fmt: skip


def test_a_series_is_read_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    rows = [event(s, simple(n, 2.0)) for s in (10, 20, 30) for n in ("loss", "reward/mean")]
    runs = READER.read(Source(made.write(tmp_path, rows), wanted=Wanted(key="reward/mean")))
    assert runs[0].train.key == "reward/mean"


def test_non_finite_losses_are_counted(tmp_path: Path) -> None:
    values = [3.0, float("nan"), float("inf"), 2.0]
    run = run_of(made.write(tmp_path, [event(s, simple("loss", v)) for s, v in enumerate(values)]))
    assert run.nonfinite == {"loss": 2}
    assert np.isnan(run.train.loss[1:3]).all()


@pytest.mark.parametrize(
    ("rows", "code", "word"),
    [
        ([], "FT405", "without scalars"),
        (
            [event(1, simple("accuracy", 0.5)), event(2, simple("accuracy", 0.6))],
            "FT406",
            "accuracy",
        ),
        ([event(0, made.text("args", "{}"))], "FT405", "without scalars"),
    ],
)
def test_a_file_without_a_loss_is_refused_with_what_it_holds(
    tmp_path: Path, rows: list[bytes], code: str, word: str
) -> None:
    with pytest.raises(LogError, match=word) as caught:
        READER.read(Source(made.write(tmp_path, rows)))
    assert caught.value.code == code
    assert caught.value.hint


def test_hostile_names_are_cleaned(tmp_path: Path) -> None:
    rows = [event(s, simple("train\x1b[2J/loss\u202e", 1.0)) for s in (10, 20)]
    assert run_of(made.write(tmp_path, rows)).train.key == "train/loss"


def test_all_readers_agree_that_the_file_is_an_event_file(tmp_path: Path) -> None:
    path = made.write(tmp_path, made.trainer_rows(STEPS))
    assert [run.source.format for run in read_all(path)] == ["tensorboard"]
    assert reader.sniff(Source(path)) == 0.95
