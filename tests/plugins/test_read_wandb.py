"""W&B runs, from what was logged to the run that it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_wandb as made
import numpy as np
import pytest
from made_wandb import rows, run_of

from ftadvise.errors import LogError
from ftadvise.readers import read
from ftadvise.readers.source import Source
from ftadvise.readers.wanted import Wanted
from ftadvise_plugins.wandb import files
from ftadvise_plugins.wandb.reader import READER

STEPS = range(1, 31)
NAME = "run-a1b2c3d4.wandb"


def test_the_log_of_a_trainer_becomes_its_run(tmp_path: Path) -> None:
    path = made.write(tmp_path / NAME, [made.run("calm-sun-7"), *made.trainer_rows(STEPS)])
    run = run_of(path)
    assert (run.train.key, run.eval.key, run.lr.key) == (
        "train/loss", "eval/loss", "train/learning_rate",
    )  # fmt: skip
    assert run.train.step.tolist() == list(STEPS), "the steps of training, not those of W&B"
    assert run.train.loss.tolist() == [3.0 / s for s in STEPS]
    assert run.train.epoch.tolist() == [s / 10 for s in STEPS]
    assert run.eval.step.tolist() == [10, 20, 30]
    assert run.eval.loss.tolist() == [3.5 / s for s in (10, 20, 30)]
    assert (run.source.run, run.notes) == ("calm-sun-7", ())


def test_the_file_is_found_by_its_content_and_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "wandb" / "run-20240101_000000-a1b2c3d4" / NAME
    made.write(path, made.trainer_rows(STEPS))
    elsewhere = path.rename(tmp_path / "download")
    assert read(elsewhere).source.format == "wandb"
    elsewhere.rename(path)
    assert len(read(tmp_path / "wandb").train) == 30


@pytest.mark.parametrize("nested", [False, True])
def test_names_may_be_nested(tmp_path: Path, nested: bool) -> None:
    values = [{"train.loss": 3.0 - k, "global_step": 10 * k} for k in range(3)]
    path = made.write(tmp_path / NAME, [made.history(row, nested) for row in values])
    run = run_of(path)
    assert (run.train.key, run.train.loss.tolist()) == ("train.loss", [3, 2, 1])


def test_the_configuration_says_what_was_planned(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "num_train_epochs": 4, "max_steps": -1, "evaluation_strategy": "IntervalStrategy.STEPS",
        "eval_steps": 10, "save_strategy": "no", "save_steps": 500, "lr_scheduler_type": "cosine",
        "label2id": {"a": 1}, "_wandb": {"t": {"1": [1, 2]}},
    }  # fmt: skip
    run = run_of(made.write(tmp_path / NAME, [made.config(config), *made.trainer_rows(STEPS)]))
    assert (run.planned_epochs, run.settings.eval_steps) == (4, 10)
    assert (run.settings.save_steps, run.settings.lr_scheduler_type) == (None, "cosine")


def test_the_configuration_may_come_with_the_run_and_be_nested(tmp_path: Path) -> None:
    about = made.run("x", values={"trainer": {"max_epochs": 6}})
    run = run_of(made.write(tmp_path / NAME, [about, *made.trainer_rows(STEPS)]))
    assert run.planned_epochs == 6


def test_the_count_of_logs_is_no_optimizer_step(tmp_path: Path) -> None:
    values = [{"epoch": e, "train_loss": 1.0, "val_loss": 1.0} for e in (1, 2, 3)]
    run = run_of(made.write(tmp_path / NAME, rows(values)))
    assert run.train.epoch.tolist() == run.eval.epoch.tolist() == [1, 2, 3]
    assert np.isnan(run.train.step).all()
    assert any("_step counts" in note for note in run.notes)


def test_a_step_that_was_passed_along_is_believed(tmp_path: Path) -> None:
    values = [{"_step": 50 * e, "epoch": e, "loss": 1.0} for e in (1, 2, 3)]
    run = run_of(made.write(tmp_path / NAME, [made.history(row) for row in values]))
    assert run.train.step.tolist() == [50, 100, 150]
    assert run.steps_per_epoch == 50


def test_steps_are_all_there_is_where_only_a_train_loss_is_logged(tmp_path: Path) -> None:
    run = run_of(made.write(tmp_path / NAME, rows([{"loss": 1.0}] * 5)))
    assert run.train.step.tolist() == [0, 1, 2, 3, 4]


def test_rows_with_both_losses_and_no_time_are_epochs(tmp_path: Path) -> None:
    run = run_of(made.write(tmp_path / NAME, rows([{"train_loss": 1.0, "val_loss": 1.0}] * 4)))
    assert run.eval.epoch.tolist() == [1, 2, 3, 4]


def test_a_resumed_run_has_a_file_for_each_start(tmp_path: Path) -> None:
    first = tmp_path / "run-20240101_000000-a1b2c3d4" / NAME
    made.write(first, made.trainer_rows(range(1, 21)))
    second = made.write(
        tmp_path / "run-20240102_000000-a1b2c3d4" / NAME, made.trainer_rows(range(16, 31))
    )
    made.write(tmp_path / "run-20240103_000000-other" / NAME, made.trainer_rows(range(90, 99)))
    assert files.gather(second) == [first, second]
    run = run_of(first)
    assert run.train.step.tolist() == list(STEPS)
    assert run.restarts == 1


def test_the_runs_of_a_sweep_keep_their_names(tmp_path: Path) -> None:
    from ftadvise.readers import read_all

    for name in ("aaaa1111", "bbbb2222"):
        path = tmp_path / f"run-20240101_000000-{name}" / f"run-{name}.wandb"
        made.write(path, [made.run(f"sweep-{name}"), *made.trainer_rows(range(1, len(name)))])
    names = [run.source.run for run in read_all(tmp_path)]
    assert len(names) == 2
    assert all("sweep" in name for name in names)


def test_nan_and_infinity_are_written_as_strings(tmp_path: Path) -> None:
    values = [{"loss": v, "global_step": k} for k, v in enumerate((1.0, "NaN", "Infinity", 2.0))]
    run = run_of(made.write(tmp_path / NAME, rows(values)))
    assert run.nonfinite == {"loss": 2}


def test_a_run_that_only_printed_its_losses_is_read_from_what_it_printed(tmp_path: Path) -> None:
    lines = [made.console(f"{{'loss': {3 - e}, 'epoch': {e / 2}}}\n") for e in range(1, 5)]
    run = run_of(made.write(tmp_path / NAME, [made.run("x"), *lines]))
    assert run.train.loss.tolist() == [2, 1, 0, -1]
    assert any("printed" in note for note in run.notes)


@pytest.mark.parametrize(
    ("records", "code", "words"),
    [
        ([made.run("x")], "FT405", "no metrics were logged"),
        ([made.run("x"), made.console("error!\n")], "FT405", "nor did it print a loss"),
        ([made.summary({"train_loss": 0.5, "_runtime": 3})], "FT405", "train_loss 0.5"),
        (rows([{"accuracy": 0.5}, {"accuracy": 0.6}]), "FT406", "accuracy"),
    ],
)
def test_a_file_without_a_loss_is_refused_with_what_it_holds(
    tmp_path: Path, records: list[bytes], code: str, words: str
) -> None:
    with pytest.raises(LogError, match=words) as caught:
        READER.read(Source(made.write(tmp_path / NAME, records)))
    assert caught.value.code == code
    assert caught.value.hint


def test_a_series_is_read_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    values = [{"loss": 1.0, "reward": 5.0, "global_step": k} for k in range(4)]
    path = made.write(tmp_path / NAME, rows(values))
    runs = READER.read(Source(path, wanted=Wanted(key="reward")))
    assert runs[0].train.loss.tolist() == [5, 5, 5, 5]


def test_the_history_of_older_versions_is_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "wandb-history.jsonl"
    lines = [
        {"train_loss": 1.0 / e, "val_loss": 1.0, "epoch": e, "_step": e - 1, "_runtime": 1.0,
         "_timestamp": 1.7e9}
        for e in (1, 2, 3)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"train_lo')
    (tmp_path / "config.yaml").write_text(
        "wandb_version: 1\n\nepochs:\n  desc: null\n  value: 8\nname:\n  value:\n  - x\n"
    )
    run = read(path)
    assert (run.source.format, run.planned_epochs) == ("wandb", 8)
    assert run.train.epoch.tolist() == run.eval.epoch.tolist() == [1, 2, 3]
    assert np.isnan(run.train.step).all()


def test_a_summary_holds_final_values_only(tmp_path: Path) -> None:
    path = tmp_path / "wandb-summary.json"
    path.write_text('{"train/loss": 0.25, "_step": 7, "_runtime": 9, "_wandb": {"runtime": 9}}')
    with pytest.raises(LogError, match=r"final values only: train/loss 0\.25") as caught:
        read(path)
    assert (caught.value.code, "wandb" in caught.value.hint) == ("FT405", True)


def test_hostile_names_are_cleaned(tmp_path: Path) -> None:
    values = [{"train\x1b[2J/loss\u202e": 1.0, "global_step": k} for k in range(3)]
    path = made.write(tmp_path / NAME, [made.run("a\x1b]0;b\x07c"), *rows(values)])
    run = run_of(path)
    assert (run.train.key, run.source.run) == ("train/loss", "ac")
