"""Loggers: what they receive from a run, and those that are not there."""

from __future__ import annotations

import importlib
import io
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from ftadvise_trainer import loggers
from ftadvise_trainer.arguments import training_arguments
from ftadvise_trainer.config import Config, TrainingConfig
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.job import Outcome
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.training import train

TINY = Path(__file__).parents[2] / "examples" / "tiny" / "training.yaml"
TOLD = ("training.num_train_epochs=2", "training.logging_steps=5")


def run(folder: Path, *told: str, callbacks: tuple[Any, ...] = ()) -> tuple[Outcome, list[Any]]:
    """Train the example for two epochs; return how it ended and the history in its metrics."""
    import json

    config = load_config(TINY, [*TOLD, f"training.output_dir={folder / 'out'}", *told])
    outcome = train(config, stream=io.StringIO(), callbacks=callbacks)
    return outcome, json.loads((folder / "out" / "training_metrics.json").read_text())["history"]


class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """A logger of somebody else's, as their integrations are written."""

    def __init__(self) -> None:
        self.received: dict[str, dict[int, float]] = {}
        self.best: tuple[float | None, int | None] = (None, None)
        self.ended = 0

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kw: Any) -> None:
        for name, value in logs.items():
            self.received.setdefault(name, {})[state.global_step] = value

    def on_train_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        self.best = (state.best_metric, state.best_global_step)
        self.ended += 1


def column(history: list[Any], name: str) -> dict[int, float]:
    return {row["step"]: row[name] for row in history if row.get(name) is not None}


def test_somebody_elses_logger_receives_eval_losses_rates_and_the_best(tmp_path: Path) -> None:
    reporter = Reporter()
    outcome, history = run(tmp_path, callbacks=(reporter,))
    for name in ("eval_loss", "loss", "learning_rate"):
        assert column(history, name), name
        assert reporter.received[name] == pytest.approx(column(history, name)), name
    assert outcome.best is not None
    loss, step = reporter.best
    assert loss == pytest.approx(outcome.best["eval_loss"])
    assert step == outcome.best["step"]
    assert reporter.ended == 1  # and nothing more of the final model's evaluation


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Return what an event file of TensorBoard holds, by name and step."""
    proto: Any = importlib.import_module("tensorboardX.proto.event_pb2")
    found: dict[str, dict[int, float]] = {}
    (path,) = folder.rglob("events.out.tfevents.*")
    raw = path.read_bytes()
    while raw:  # length, its checksum, the event, its checksum
        length = int.from_bytes(raw[:8], "little")
        event: Any = proto.Event.FromString(raw[12 : 12 + length])
        raw = raw[16 + length :]
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@pytest.mark.skipif(find_spec("tensorboardX") is None, reason="needs tensorboardX")
@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="tensorboard is taken instead")
def test_tensorboard_receives_eval_losses_and_learning_rates(tmp_path: Path) -> None:
    _, history = run(tmp_path, "training.report_to=[tensorboard]")
    written = scalars(tmp_path)
    for tag, name in (("eval/loss", "eval_loss"), ("train/learning_rate", "learning_rate")):
        assert written[tag] == pytest.approx(column(history, name), rel=1e-6)
    assert min(written["eval/loss"].values()) < math.inf


def built(*names: str) -> None:
    training_arguments(Config(training=TrainingConfig(report_to=names, save_strategy="epoch")))


def test_a_logger_that_nobody_knows_is_refused_with_the_closest_one() -> None:
    with pytest.raises(TrainError, match=r"no logger is called tensorbord; did you mean tensor"):
        built("tensorbord")


def test_a_logger_that_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(TrainError, match="report_to: comet_ml is not installed") as caught:
        built("comet_ml")
    assert caught.value.code == "FT509"
    assert "pip install comet-ml." in caught.value.hint


def test_a_run_with_a_missing_logger_ends_before_its_first_step(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="not installed"):
        run(tmp_path, "training.report_to=[neptune]")
    assert not list(tmp_path.glob("out/checkpoint-*"))


def test_every_logger_of_transformers_has_a_package() -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    assert INTEGRATION_TO_CALLBACK.keys() <= loggers.PACKAGES.keys()
