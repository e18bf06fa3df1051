"""What Keras prints while it trains becomes runs, one point per finished epoch."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftadvise.errors import LogError
from ftadvise.readers.console_logs import keras_progress
from ftadvise.readers.console_logs.console_readers import READERS
from ftadvise.readers.source import Source
from ftadvise.testing import check_reader

(READER,) = (reader for reader in READERS if reader.name == "keras_progress")
GOOD = Path(__file__).parent / "good" / "keras_progress"

losses = st.floats(1e-4, 1e4).map(lambda x: float(f"{x:.4f}"))
histories = st.lists(st.tuples(losses, losses), min_size=1, max_size=6)


def bar(done: int, total: int, tail: str) -> str:
    return f"{done:2}/{total} [{'=' * done}>{'.' * (total - done)}] - {tail}"


def keras_2(history: list[tuple[float, float]]) -> str:
    """A bar that is drawn anew, on one line for each epoch."""
    text = ""
    for epoch, (loss, val_loss) in enumerate(history, 1):
        text += f"Epoch {epoch}/{len(history)}\n"
        for done in (1, 4):
            text += "\r" + bar(done, 9, f"ETA: 3s - loss: {loss + 1:.4f} - accuracy: 0.5000")
        end = f"3s 9ms/step - loss: {loss:.4f} - accuracy: 0.5000 - val_loss: {val_loss:.4f}"
        text += "\b" * 60 + bar(9, 9, end) + " - val_accuracy: 0.2500\n"
    return text


def keras_3(history: list[tuple[float, float]]) -> str:
    """Colours, bars of heavy lines and the metrics in the order of the alphabet."""
    bold, green, end = "\x1b[1m", "\x1b[32m", "\x1b[0m"
    return "".join(
        f"Epoch {epoch}/{len(history)}\n"
        f"{bold}4/9{end} {green}━━━━{end} {bold}1s{end} 9ms/step - accuracy: 0.1 - loss: 99.0000"
        f"\r{bold}9/9{end} {green}━━━━━━━━━━{end} {bold}3s{end} 9ms/step - accuracy: 0.1000"
        f" - loss: {loss:.4f} - val_accuracy: 0.2000 - val_loss: {val_loss:.4f}"
        " - learning_rate: 1.0000e-03\n"
        for epoch, (loss, val_loss) in enumerate(history, 1)
    )


def verbose_2(history: list[tuple[float, float]]) -> str:
    """One line per epoch."""
    return "".join(
        f"Epoch {epoch}/{len(history)}\n9/9 - 3s - loss: {loss:.4f} - val_loss: {val_loss:.4f}"
        " - 3s/epoch - 300ms/step\n"
        for epoch, (loss, val_loss) in enumerate(history, 1)
    )


@pytest.mark.parametrize("show", [keras_2, keras_3, verbose_2])
@settings(max_examples=25, deadline=None)
@given(history=histories)
def test_every_way_that_keras_prints_reads_back(
    show: Any, history: list[tuple[float, float]]
) -> None:
    (training,) = keras_progress.trainings_in(show(history))
    assert [(row["loss"], row["val_loss"]) for row in training.rows] == history
    assert [row["epoch"] for row in training.rows] == list(range(1, len(history) + 1))
    assert training.per_epoch == 9
    assert training.plan.epochs == len(history)


def test_a_log_that_begins_with_a_level_in_brackets_is_read(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("[INFO] starts\n" + keras_2([(0.5, 0.6), (0.4, 0.55)]))
    source = Source(log)
    assert READER.sniff(source) > 0.5
    (run,) = READER.read(source)
    assert run.train.loss.tolist() == [0.5, 0.4]


def test_validation_metrics_on_a_line_of_their_own_belong_to_their_epoch() -> None:
    text = "".join(
        f"Epoch {e}/2\n9/9 [=====] - 1s 9ms/step - loss: {0.5 / e}\n{start}val_loss: {0.6 / e} - val_acc: 0.5\n"
        for e, start in ((1, "    "), (2, " - "))
    )
    (training,) = keras_progress.trainings_in(text)
    assert [row["val_loss"] for row in training.rows] == [0.6, 0.3]
    assert [row["loss"] for row in training.rows] == [0.5, 0.25]


def test_an_epoch_that_was_not_finished_is_no_point() -> None:
    text = keras_2([(2.0, 2.5), (1.0, 1.5)])
    cut = text[: text.rindex("\b")]
    (training,) = keras_progress.trainings_in(cut)
    assert [row["loss"] for row in training.rows] == [2.0]


def test_each_call_of_fit_is_a_run(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(keras_2([(2.0, 2.5), (1.0, 1.5)]) + keras_3([(3.0, 3.5)]))
    runs = READER.read(Source(path))
    assert [run.source.run for run in runs] == ["fit 1", "fit 2"]
    assert [run.eval.loss.tolist() for run in runs] == [[2.5, 1.5], [3.5]]
    assert [run.planned_epochs for run in runs] == [2.0, 1.0]


def test_the_bar_of_an_evaluation_replaces_no_epoch() -> None:
    text = verbose_2([(2.0, 2.5)]) + bar(5, 5, "1s 9ms/step - loss: 7.0000\n")
    (training,) = keras_progress.trainings_in(text)
    assert training.rows == [{"epoch": 1, "loss": 2.0, "val_loss": 2.5, "step": 9.0}]


def test_samples_of_old_versions_are_no_steps() -> None:
    text = (
        "Train on 600 samples, validate on 100 samples\nEpoch 1/2\n"
        "600/600 [====] - 1s 83us/step - loss: 2.0000 - val_loss: 2.5000\n"
    )
    (training,) = keras_progress.trainings_in(text)
    assert training.per_epoch is None
    assert "step" not in training.rows[0]


def test_lines_of_callbacks_are_no_metrics() -> None:
    text = (
        "Epoch 1/2\n9/9 - 3s - loss: 2.0000 - val_loss: 2.5000\n\n"
        "Epoch 1: val_loss improved from inf to 2.50000, saving model to best.h5\n"
        "Epoch 00001: val_loss did not improve\nRestoring model weights: val_loss: 1.0\n"
    )
    (training,) = keras_progress.trainings_in(text)
    assert training.rows == [{"epoch": 1, "loss": 2.0, "val_loss": 2.5, "step": 9.0}]


@pytest.mark.parametrize(
    ("line", "loss"),
    [(" - 3s - loss: 2.0000 - val_loss: 2.5000", 2.0),
     ("    250/Unknown - 3s 9ms/step - loss: 2.0000 - val_loss: 2.5000", 2.0),
     ("9/9 [====] - 3s - loss: 2.0e-05 - val_loss: nan", 2e-5)],
)  # fmt: skip
def test_other_versions_are_read(line: str, loss: float) -> None:
    (training,) = keras_progress.trainings_in(f"Epoch 1/2\n{line}\n")
    assert training.rows[0]["loss"] == loss
    assert "val_loss" in training.rows[0]


@pytest.mark.parametrize(
    "text",
    ["Epoch 1/2: 100%|##| 4/4 [00:04<00:00, 2.00it/s, loss=2.50]\nval loss: 2.25\n",
     "Epoch 1/2\ntrain loss: 2.5\nval loss: 2.25\n", "Epoch 1/2 - loss: 2.5 - val_loss: 2.25\n"],
)  # fmt: skip
def test_bars_and_lines_of_other_tools_are_not_taken(text: str, tmp_path: Path) -> None:
    assert keras_progress.trainings_in(text) == []
    path = tmp_path / "log.txt"
    path.write_text(text)
    assert READER.sniff(Source(path)) < 0.5


def test_a_text_without_a_finished_epoch_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("Epoch 1/3\n loss: \n")
    with pytest.raises(LogError) as caught:
        READER.read(Source(path))
    assert caught.value.code == "FT405"


@pytest.mark.parametrize(
    "text", ["Epoch 1/2\n" * 5000, "Epoch 1/2 loss: " * 3000, "Epoch 1/2\n" + "loss: " * 9000,
             "Epoch 1/2\n" + " - loss: 1" * 6000 + "\n", "1/1 [=" * 9000 + " loss: "]
)  # fmt: skip
def test_text_made_to_be_slow_is_read_at_once(text: str) -> None:
    assert len(keras_progress.trainings_in(text)) <= 1


def test_keras_itself_prints_what_its_history_holds() -> None:
    keras = pytest.importorskip("keras")
    numpy = pytest.importorskip("numpy")
    for verbose in (1, 2):
        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
        model.compile(loss="mse", optimizer="sgd", metrics=["mae"])
        x, y = numpy.random.default_rng(0).normal(size=(2, 40, 3))
        screen = io.StringIO()
        with contextlib.redirect_stdout(screen):
            made = model.fit(
                x, y[:, :1], batch_size=4, epochs=3, verbose=verbose, validation_split=0.2
            )
        (training,) = keras_progress.trainings_in(screen.getvalue())
        assert training.per_epoch == 8
        for key in ("loss", "val_loss"):
            got = [row[key] for row in training.rows]
            assert got == pytest.approx(made.history[key], abs=6e-5)


def test_the_reader_keeps_the_contract(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("nothing here\n")
    check_reader(READER, sorted(GOOD.iterdir()), [bad])
