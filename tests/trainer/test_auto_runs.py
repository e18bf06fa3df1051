"""`--auto` from the first run to the next: settings, folders, what a broken run goes on with."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from tiny_runs import TINY
from transformers import TrainerCallback

from ftadvise import history
from ftadvise.errors import FtadviseError
from ftadvise_trainer import commands, ending
from ftadvise_trainer.auto.next_run import FILE, next_folder
from ftadvise_trainer.auto.run import Auto
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.job import Outcome
from ftadvise_trainer.saving.lock import FolderLock
from ftadvise_trainer.saving.manifest import read_manifest, write_manifest
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.training import train

if TYPE_CHECKING:
    from pathlib import Path

    from ftadvise_trainer.config import Config

LEFT_OPEN = (
    "num_train_epochs", "lr_scheduler_type", "eval_strategy", "save_strategy", "save_total_limit",
    "early_stopping_patience", "early_stopping_threshold",
)  # fmt: skip


class Breaks(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Ends a run with an error after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise RuntimeError("broken")


@pytest.fixture(autouse=True)
def own_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTADVISE_HISTORY", str(tmp_path / "history.sqlite3"))


def config(folder: Path) -> Config:
    """Return the example's config with everything open that `--auto` may choose."""
    loaded = load_config(TINY / "training.yaml", [f"training.output_dir={folder}"])
    return replace(loaded, written=(loaded.written or frozenset()) - set(LEFT_OPEN))


def run(folder: Path, *callbacks: TrainerCallback, **how: Any) -> tuple[Outcome, str]:
    stream = io.StringIO()
    outcome = train(config(folder), stream=stream, callbacks=callbacks, auto=Auto(), **how)
    return outcome, stream.getvalue()


def test_a_first_run_ends_by_itself_and_the_next_is_advised_by_it_and_keeps_its_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "checkpoints"
    outcome, said = run(folder)
    assert "no earlier run is known" in said
    assert outcome.final == folder / "final"
    assert outcome.stopped is not None
    assert outcome.stopped["policy"] == "anneal on onset"
    assert outcome.stopped["epoch"] < 10
    assert said.splitlines()[-1].startswith("the next run: ")
    assert not [record for record in caplog.records if "the next run" in record.getMessage()]

    with pytest.raises(RuntimeError, match="broken"):
        run(folder, Breaks(40))
    chosen = json.loads((folder / "run-2" / FILE).read_text())
    assert chosen["settings"]["num_train_epochs"] > 1
    assert chosen["prediction"] is not None

    history.forget(1)  # another past by now: the run goes on with what it began with
    outcome, said = run(folder)
    assert "as it was when this run began" in said
    assert "going on from checkpoint" in said
    metrics = json.loads((folder / "run-2" / "training_metrics.json").read_text())
    assert (
        metrics["config"]["training"]["num_train_epochs"] == chosen["settings"]["num_train_epochs"]
    )

    finals = [read_manifest(f / "final") for f in (folder, folder / "run-2")]
    assert finals[0] is not None
    assert finals[1] is not None
    assert finals[1].eval_loss is not None
    reached = [
        finals[1].eval_loss,
        json.loads((folder / "training_metrics.json").read_text())["best"]["eval_loss"],
    ]
    assert finals[0].eval_loss == min(reached)
    (remembered,) = history.runs()
    assert remembered.prediction is not None
    assert remembered.prediction.epochs == chosen["settings"]["num_train_epochs"]


def test_a_run_that_is_killed_when_all_is_trained_is_brought_to_its_end_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> list[str]:
        raise KeyboardInterrupt

    folder = tmp_path / "checkpoints"
    with monkeypatch.context() as patch:
        patch.setattr(ending, "remember", killed)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    assert (folder / "final").exists()
    assert not history.runs()
    outcome, said = run(folder)
    assert "going on from checkpoint" in said
    assert outcome.final == folder / "final"
    assert len(history.runs()) == 1
    assert not (folder / "run-2").exists()
    assert next_folder(folder) == folder / "run-2"


def test_a_later_run_keeps_others_out_of_the_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    (folder / "final").mkdir(parents=True)
    write_manifest(folder / "final", step=1)
    (folder / "training_metrics.json").write_text('{"stopped": {"reason": "planned end"}}')
    assert next_folder(folder) == folder / "run-2"
    with FolderLock(folder), pytest.raises(TrainError) as caught:
        run(folder)
    assert caught.value.code == "FT507"
    assert not (folder / "run-2").exists()


def test_an_output_folder_that_cannot_be_one_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrainError, match=r"training\.output_dir: .*file: File exists"):
        run(tmp_path / "file")


def test_a_log_that_is_named_and_cannot_be_read_ends_the_run_before_it_begins(
    tmp_path: Path,
) -> None:
    with pytest.raises(FtadviseError, match="missing"):
        train(
            config(tmp_path / "out"),
            stream=io.StringIO(),
            auto=Auto(logs=(str(tmp_path / "missing.json"),)),
        )
    assert not (tmp_path / "out" / "training_metrics.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "a.json"], "belongs to --auto"),
        (["--override"], "belongs to --auto"),
        (["--auto", "--dry-run"], "when a run begins"),
        (["--auto=sometimes"], "does not take a value"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], said: str) -> None:
    group = click.Group()
    commands.register_commands(group)
    result = CliRunner().invoke(group, ["train", *arguments, str(TINY / "training.yaml")])
    assert result.exit_code == 2
    assert said in result.output
