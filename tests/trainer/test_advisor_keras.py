"""AdvisorCallback for Keras brings forecast, decision and advice into `fit`."""

from __future__ import annotations

import logging
import math
import os
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if "KERAS_BACKEND" not in os.environ:
    pytest.importorskip("torch")
    os.environ["KERAS_BACKEND"] = "torch"
pytest.importorskip("keras")

import keras  # type: ignore[import-not-found,unused-ignore]  # pyright: ignore

import ftadvise
from ftadvise.run import FloatArray, Run, Series, as_floats
from ftadvise_trainer.callbacks import live_advice
from ftadvise_trainer.callbacks.keras import AdvisorCallback

# Backends warn of what they do with each other's arrays.
pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "keras.md"
PER_EPOCH, EPOCHS = 4, 20
VALUES = ("val_forecast", "val_probability_of_improvement")


def data(seed: int) -> tuple[Any, Any]:
    """Return data in which there is little to learn and much to learn by heart."""
    drawn = np.random.default_rng(seed)
    x = drawn.standard_normal((8 * PER_EPOCH, 20)).astype("float32")
    noise = drawn.standard_normal((8 * PER_EPOCH, 1)).astype("float32")
    return x, 0.5 * x[:, :1] + noise


def model(rate: Any = 5e-3) -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((20,)), keras.layers.Dense(64, "tanh"), keras.layers.Dense(1)]
    made = keras.Sequential(layers)
    made.compile(keras.optimizers.Adam(rate), "mse")
    return made


def fit(made: Any, *callbacks: Any, **more: Any) -> dict[str, list[float]]:
    settings: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 8, "verbose": 0, "shuffle": False}
    x, y = data(1)
    settings |= {"validation_data": data(2), "callbacks": list(callbacks)} | more
    return dict(made.fit(x, y, **settings).history)


def observed(history: dict[str, list[float]], epochs: float, count: int) -> Run:
    """Return the first evaluations of a run that is planned for `epochs`."""
    epoch = np.arange(1.0, count + 1.0)

    def series(key: str) -> Series:
        losses: FloatArray = as_floats(history[key][:count])
        return Series(key, PER_EPOCH * epoch, epoch, losses)

    return Run(train=series("loss"), eval=series("val_loss"), planned_epochs=epochs)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    own = "ftadvise_trainer.callbacks.keras"
    return [record.getMessage() for record in caplog.records if record.name == own]


def test_a_run_that_overfits_stops_where_should_stop_says_and_not_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = fit(model())
    runs = (observed(whole, EPOCHS, count) for count in range(1, EPOCHS))
    expected = next(len(run.eval) for run in runs if ftadvise.should_stop(run).stop)
    callback = AdvisorCallback(stop=True)
    history = fit(model(), callback)
    assert history["val_loss"] == whole["val_loss"][:expected]
    assert callback.reason is not None
    assert (callback.reason["epoch"], callback.reason["step"]) == (expected, 4 * expected)
    assert "twice in a row" in callback.reason["reason"]
    assert callback.advice is not None
    (message,) = said(caplog)
    assert message.startswith(f"the next run: {callback.advice.num_train_epochs} epoch")


def test_line_history_and_later_callbacks_have_the_forecast_of_each_validation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = fit(model(), AdvisorCallback(share=math.inf), log, epochs=6, verbose=2)
    forecasts, chances = (history[name] for name in VALUES)
    # From the third on, and not with the last, after which nothing comes.
    assert [math.isfinite(one) for one in forecasts] == [False, False, True, True, True, False]
    expected = ftadvise.forecast(observed(history, 6.0, 5), at=6.0)
    assert forecasts[4] == pytest.approx(expected.median)
    lines = [line for line in capsys.readouterr().out.splitlines() if "val_loss" in line]
    shown = dict(part.split(": ") for part in lines[4].split(" - ") if ": " in part)
    assert [float(shown[name]) for name in VALUES] == pytest.approx(
        [forecasts[4], chances[4]], abs=1e-4
    )
    assert "val_forecast: nan" in lines[0]
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert float(rows[5].split(",")[rows[0].split(",").index("val_forecast")]) == forecasts[4]


def test_columns_of_a_history_stay_as_long_as_those_of_the_validation() -> None:
    history = fit(model(), AdvisorCallback(), epochs=6, validation_freq=2)
    assert {len(history[name]) for name in ("val_loss", *VALUES)} == {3}
    assert len(history["loss"]) == 6


def test_a_resumed_run_stops_where_the_whole_one_did(tmp_path: Path) -> None:
    class Kill(keras.callbacks.Callback):  # type: ignore[misc,unused-ignore]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 4:
                raise KeyboardInterrupt

    def callbacks() -> list[Any]:
        kept = keras.callbacks.BackupAndRestore(tmp_path / "model")
        return [AdvisorCallback(stop=True, backup=tmp_path / "advisor.json"), kept]

    whole = AdvisorCallback(stop=True)
    losses = fit(model(), whole)["val_loss"]
    with pytest.raises(KeyboardInterrupt):
        fit(model(), *callbacks(), Kill())
    resumed = callbacks()
    assert fit(model(), *resumed)["val_loss"] == pytest.approx(losses[4:])
    assert resumed[0].reason == pytest.approx(whole.reason)
    assert whole.advice is not None
    assert resumed[0].advice.num_train_epochs == whole.advice.num_train_epochs

    anew = callbacks()[0]  # the file is that of a run before it
    assert fit(model(), anew)["val_loss"] == losses
    assert anew.reason == whole.reason


def test_a_damaged_backup_is_said_and_the_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "advisor.json").write_text("[1")
    history = fit(model(), AdvisorCallback(stop=True, backup=tmp_path / "advisor.json"), epochs=2)
    assert len(history["val_loss"]) == 2
    assert len(said(caplog)) == 1


def test_a_run_with_the_callback_has_the_weights_of_one_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain, advised, callback = model(), model(), AdvisorCallback()
    fit(plain)
    fit(advised, callback)
    assert callback.reason is None
    for one, other in zip(plain.get_weights(), advised.get_weights(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("what", ["forecast", "should_stop", "advise", "run_of"])
def test_an_error_inside_is_logged_once_and_the_training_goes_on(
    what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from ftadvise_trainer.callbacks import keras as ours

    def fails(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("odd number")

    monkeypatch.setattr(ours if what == "run_of" else live_advice, what, fails)
    callback = AdvisorCallback(stop=True)
    assert len(fit(model(), callback, epochs=4)["loss"]) == 4
    assert callback.advice is None
    (message,) = said(caplog)
    assert "odd number" in message


def test_a_decay_that_is_to_come_is_known_by_its_name_and_data_of_unknown_length_by_epochs() -> (
    None
):
    def forever() -> Any:
        x, y = data(1)
        while True:
            yield from ((x[i : i + 8], y[i : i + 8]) for i in range(0, len(x), 8))

    decay = keras.optimizers.schedules.CosineDecay(5e-3, PER_EPOCH * EPOCHS)
    callback, made = AdvisorCallback(), model(decay)
    made.fit(
        forever(),
        steps_per_epoch=PER_EPOCH,
        epochs=3,
        validation_data=data(2),
        callbacks=[callback],
        verbose=0,
    )
    assert callback.advice is not None
    assert callback.advice.run.settings.lr_scheduler_type == "cosine"
    assert callback.advice.run.eval.step.tolist() == [4.0, 8.0, 12.0]
    assert np.all(np.diff(callback.advice.run.lr.rate) < 0)


def test_the_code_of_the_page_trains_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "callbacks.keras" in block]
    x, y = data(1)
    given: dict[str, Any] = {"model": model(2e-2), "x": x, "y": y, "validation": data(2)}
    (tmp_path / "page.py").write_text(code)
    with caplog.at_level(logging.WARNING):
        left = runpy.run_path("page.py", init_globals=given)
    assert left["callbacks"][0].reason is not None
    assert (tmp_path / "advisor.json").exists()
    assert any(message.startswith("the next run") for message in said(caplog))
