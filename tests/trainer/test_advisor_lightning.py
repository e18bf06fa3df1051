"""AdvisorCallback for Lightning brings forecast, decision and advice into its Trainer."""

from __future__ import annotations

import csv
import importlib
import json
import logging
import math
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
for package in ("lightning", "pytorch_lightning"):
    pytest.importorskip(package)

import torch
from made_ranks import run_ranks
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ftadvise
from ftadvise.run import Run, Series, as_floats
from ftadvise_trainer.callbacks import live_advice
from ftadvise_trainer.callbacks.lightning import AdvisorCallback

# Both packages warn of each other's deprecations and of small machines.
pytestmark = pytest.mark.filterwarnings("ignore")

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "lightning.md"
EVERY, PER_EPOCH, EPOCHS = 2, 4, 20


def data(seed: int, batches: int = PER_EPOCH) -> Any:
    """Return data in which there is little to learn and much to learn by heart."""
    drawn = torch.Generator().manual_seed(seed)
    x = torch.randn(8 * batches, 20, generator=drawn)
    y = 2.0 * x[:, :1] + torch.randn(8 * batches, 1, generator=drawn)
    return DataLoader(TensorDataset(x, y), batch_size=8)


def model(package: str = PACKAGES[0], name: str = "val_loss") -> Any:
    class Module(importlib.import_module(package).LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 1))

        def loss(self, batch: Any) -> Any:
            return nn.functional.mse_loss(self.net(batch[0]), batch[1])

        def training_step(self, batch: Any, place: int) -> Any:
            return self.loss(batch)

        def validation_step(self, batch: Any, place: int) -> None:
            self.log(name, self.loss(batch), prog_bar=True)

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 1e-2)

    return Module()


def trainer(folder: Path, *callbacks: Any, package: str = PACKAGES[0], **more: Any) -> Any:
    settings: dict[str, Any] = {
        "max_epochs": EPOCHS,
        "val_check_interval": EVERY,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return importlib.import_module(package).Trainer(
        default_root_dir=folder, callbacks=list(callbacks), **(settings | more)
    )


def spy(package: str = PACKAGES[0]) -> Any:
    """Return a callback that keeps the validation losses and what the bar shows with them."""

    class Spy(importlib.import_module(package).Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.losses: list[float] = []
            self.bars: list[dict[str, Any]] = []

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            if not trainer.sanity_checking:
                self.losses.append(float(trainer.callback_metrics["val_loss"]))
                self.bars.append(dict(trainer.progress_bar_metrics))

    return Spy()


def first_stop(losses: list[float]) -> int | None:
    """Return the number of evaluations after which the advisor stops a run with these losses."""
    for count in range(1, len(losses) + 1):
        step = [EVERY * place for place in range(1, count + 1)]
        epoch = [one / PER_EPOCH for one in step]
        series = Series("val_loss", as_floats(step), as_floats(epoch), as_floats(losses[:count]))
        if ftadvise.should_stop(Run(eval=series, planned_epochs=float(EPOCHS))).stop:
            return count
    return None


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    own = "ftadvise_trainer.callbacks.lightning"
    return [record.getMessage() for record in caplog.records if record.name == own]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_run_that_overfits_stops_where_should_stop_says_and_not_before(
    package: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = spy(package)
    trainer(tmp_path, whole, package=package).fit(model(package), data(1), data(2))
    expected = first_stop(whole.losses)
    assert expected is not None
    callback, seen = AdvisorCallback(stop=True), spy(package)
    made = trainer(tmp_path, callback, seen, package=package)
    made.fit(model(package), data(1), data(2))
    assert seen.losses == whole.losses[:expected]
    assert callback.reason is not None
    assert callback.reason["step"] == made.global_step == EVERY * expected
    assert "twice in a row" in callback.reason["reason"]
    assert callback.advice is not None
    (message,) = said(caplog)
    assert message.startswith(f"the next run: {callback.advice.num_train_epochs} epoch")


def test_bar_and_loggers_have_the_forecast_of_each_validation_from_the_third_on(
    tmp_path: Path,
) -> None:
    loggers = importlib.import_module("lightning.pytorch.loggers")
    callback, seen = AdvisorCallback(share=math.inf), spy()
    log = loggers.CSVLogger(tmp_path)
    made = trainer(tmp_path, callback, seen, logger=log, max_epochs=3, log_every_n_steps=1)
    made.fit(model(), data(1), data(2))
    assert ["val_forecast" in bar for bar in seen.bars] == [False, False, True, True, True, True]
    with (Path(log.log_dir) / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val_forecast"]]
    # Not with the last, after which nothing comes.
    assert [int(row["step"]) for row in rows] == [6, 8, 10]
    assert float(rows[-1]["val_forecast"]) == seen.bars[-1]["val_forecast"]
    step = [EVERY * place for place in range(1, 6)]
    kept = callback.state_dict()["rows"]
    train = [row["loss"] for row in kept if "loss" in row and row["step"] <= step[-1]]
    epoch = as_floats([one / PER_EPOCH for one in step])
    run = Run(
        train=Series("loss", as_floats(step), epoch, as_floats(train)),
        eval=Series("val_loss", as_floats(step), epoch, as_floats(seen.losses[:5])),
        planned_epochs=3.0,
    )
    assert float(rows[-1]["val_forecast"]) == pytest.approx(ftadvise.forecast(run, at=3.0).median)


def test_the_train_loss_is_the_mean_since_the_validation_before(tmp_path: Path) -> None:
    callback, losses = AdvisorCallback(), list[float]()
    module = model()
    inner = module.loss

    def keep(batch: Any) -> Any:
        loss = inner(batch)
        if module.training:
            losses.append(float(loss))
        return loss

    module.loss = keep
    trainer(tmp_path, callback, max_epochs=1, accumulate_grad_batches=2).fit(
        module, data(1), data(2)
    )
    rows = callback.state_dict()["rows"]
    assert [row["loss"] for row in rows if "loss" in row] == pytest.approx(
        [sum(losses[:2]) / 2, sum(losses[2:]) / 2]
    )
    assert [(row["step"], row["epoch"]) for row in rows if "val_loss" in row] == [(1, 0.5), (2, 1)]


def test_a_resumed_run_stops_where_the_whole_one_did(tmp_path: Path) -> None:
    # One batch over and over: within an epoch, Lightning resumes with the first batch.
    x, y = data(1, batches=1).dataset.tensors
    repeated = TensorDataset(x.repeat(PER_EPOCH, 1), y.repeat(PER_EPOCH, 1))
    again_and_again = DataLoader(repeated, batch_size=8)
    checkpoints = importlib.import_module("lightning.pytorch.callbacks")
    inside = checkpoints.ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
    after = checkpoints.ModelCheckpoint(tmp_path, "after-{step}", save_top_k=-1)
    whole = AdvisorCallback(stop=True)
    made = trainer(tmp_path, whole, inside, after, enable_checkpointing=True)
    made.fit(model(), again_and_again, data(2))
    end = made.global_step
    assert end < PER_EPOCH * EPOCHS
    for name in ("step=1", "after-step=2", "after-step=4", f"step={end - 1}"):
        resumed = AdvisorCallback(stop=True)
        again = trainer(tmp_path, resumed)
        again.fit(model(), again_and_again, data(2), ckpt_path=str(tmp_path / f"{name}.ckpt"))
        assert again.global_step == end, name
        assert resumed.state_dict() == whole.state_dict()


def test_a_run_that_had_stopped_is_not_trained_on_by_a_resume(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = trainer(tmp_path, AdvisorCallback(stop=True))
    made.fit(model(), data(1), data(2))
    made.save_checkpoint(tmp_path / "last.ckpt")
    callback, module = AdvisorCallback(stop=True), model()
    again = trainer(tmp_path, callback)
    again.fit(module, data(1), data(2), ckpt_path=str(tmp_path / "last.ckpt"))
    assert again.global_step == made.global_step
    assert callback.reason is not None
    assert any("nothing is trained" in message for message in said(caplog))
    before = made.lightning_module.state_dict()
    assert all(torch.equal(one, before[name]) for name, one in module.state_dict().items())


def test_a_run_with_the_callback_has_the_weights_of_one_without(tmp_path: Path) -> None:
    plain, advised = model(), model()
    trainer(tmp_path, max_epochs=3).fit(plain, data(1), data(2))
    callback = AdvisorCallback()
    trainer(tmp_path, callback, max_epochs=3).fit(advised, data(1), data(2))
    other = advised.state_dict()
    assert all(torch.equal(one, other[name]) for name, one in plain.state_dict().items())
    assert callback.reason is None


@pytest.mark.parametrize("what", ["forecast", "should_stop", "advise", "metric", "state"])
def test_an_error_inside_is_logged_once_and_the_training_goes_on(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("odd number")

    callback = AdvisorCallback(stop=True)
    if what == "state":
        callback.load_state_dict({"rows": [1.0]})
    elif what != "metric":
        monkeypatch.setattr(live_advice, what, fails)
    made = trainer(tmp_path, callback, max_epochs=3)
    made.fit(model(name="other" if what == "metric" else "val_loss"), data(1), data(2))
    assert made.global_step == 3 * PER_EPOCH
    assert callback.advice is None
    (message,) = said(caplog)
    wanted = {"metric": "no val_loss is logged, only other", "state": "the advisor says no more"}
    assert wanted.get(what, "odd number") in message


def test_validations_outside_of_a_training_are_left_alone_and_another_run_begins_anew(
    tmp_path: Path,
) -> None:
    callback = AdvisorCallback(stop=True)
    made = trainer(tmp_path, callback)
    module = model()
    made.validate(module, data(2))
    assert callback.state_dict()["rows"] == []
    made.fit(module, data(1), data(2))
    first = callback.state_dict()
    another = trainer(tmp_path, callback)
    another.fit(model(), data(1), data(2))
    assert another.global_step == made.global_step > 0
    assert callback.state_dict() == first


def test_a_stream_of_unknown_length_is_judged_by_its_steps(tmp_path: Path) -> None:
    class Stream(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Any:
            yield from data(1)

    callback, seen = AdvisorCallback(stop=True), spy()
    made = trainer(tmp_path, callback, seen, max_epochs=-1, max_steps=80)
    made.fit(model(), DataLoader(Stream(), batch_size=None), data(2))
    assert callback.reason is not None
    assert callback.reason["step"] == made.global_step < 80


def test_a_try_of_one_batch_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trainer(tmp_path, AdvisorCallback(stop=True), fast_dev_run=True).fit(model(), data(1), data(2))
    assert not said(caplog)


@pytest.mark.long
def test_of_two_processes_the_first_decides_and_both_stop_at_the_same_step(
    tmp_path: Path,
) -> None:
    run_ranks(Path(__file__).with_name("two_lightning_processes.py"), tmp_path)
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert first["first wants"] == {"step": 10, "stopped": True}
    assert first["second wants"] == first["first fails"] == {"step": 16, "stopped": False}


def test_the_code_of_the_page_trains_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "callbacks.lightning" in block]
    given: dict[str, Any] = {"module": model(), "train_data": data(1), "val_data": data(2)}
    (tmp_path / "page.py").write_text(code)
    with caplog.at_level(logging.WARNING):
        left = runpy.run_path("page.py", init_globals=given)
    assert left["trainer"].current_epoch < left["trainer"].max_epochs
    assert any(message.startswith("the next run") for message in said(caplog))
