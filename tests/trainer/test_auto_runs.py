"""`--auto` from the first run to the next: settings, folders, what a broken run goes on with."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from tiny_runs import TINY
from transformers import TrainerCallback

from ftadvise import history
from ftadvise.cli import main
from ftadvise.errors import FtadviseError
from ftadvise_trainer.auto_run import FILE, Auto
from ftadvise_trainer.config_file import load_config
from ftadvise_trainer.job import Outcome
from ftadvise_trainer.manifest import read_manifest
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
    tmp_path: Path,
) -> None:
    folder = tmp_path / "checkpoints"
    outcome, said = run(folder)
    assert "no earlier run is known" in said
    assert outcome.final == folder / "final"
    assert outcome.stopped is not None
    assert outcome.stopped["policy"] == "anneal on onset"
    assert outcome.stopped["epoch"] < 10

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
        (["--auto", "--dry-run"], "when a run begins"),
        (["--auto=sometimes"], "does not take a value"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["train", *arguments, str(TINY / "training.yaml")])
    assert result.exit_code == 2
    assert said in result.output
