"""Names and their numbers are found in a line, and those of another moment are left out."""

from __future__ import annotations

import pytest

from ftadvise.readers.files.lines import without_prefix
from ftadvise.readers.text_logs.pairs_in_text import read_pairs


def pairs(line: str) -> list[tuple[str, float]]:
    return [(pair.name, pair.value) for pair in read_pairs(line).pairs]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Loss 2.5 (2.75)", [("Loss", 2.5)]),
        ("loss: 1,234.5", [("loss", 1234.5)]),
        ("train_loss=.5 lr=1e-05", [("train_loss", 0.5), ("lr", 1e-5)]),
        ("Validation loss at step 100: 0.4", [("step", 100), ("Validation loss", 0.4)]),
        ("Test set: Average loss: 0.05", [("test Average loss", 0.05)]),
        ("Saved best model at epoch 5 with val_loss 0.3", [("Saved best model at epoch", 5)]),
        ("New best model saved! Val Loss: 0.25", []),
        ("Epoch 3 finished with loss 0.5", [("Epoch", 3), ("loss", 0.5)]),
    ],
)
def test_the_pairs_of_a_line(line: str, found: list[tuple[str, float]]) -> None:
    assert pairs(line) == found


def test_totals_and_units_are_told_apart_from_values() -> None:
    epoch, time, accuracy = read_pairs("Epoch 3/10 time 12ms acc 50%").pairs
    assert (epoch.value, epoch.total) == (3, 10)
    assert (time.unit, accuracy.unit) == ("ms", "%")


def test_prose_has_loose_words() -> None:
    log = read_pairs("Epoch 3/10 | train loss: 0.5 | val loss: 0.6 | lr: 1e-4")
    prose = read_pairs("At epoch 3 the loss of 0.5 of the model that we had trained fell to 0.4")
    assert log.loose == 0
    assert prose.loose > 9


@pytest.mark.parametrize(
    "prefix",
    [
        "2025-01-31 10:00:00,123 - my.module - INFO - ",
        "[2025-01-31T10:00:00.123Z] INFO: ",
        "[2022-10-15 04:08:08,844] [INFO] [trainer.py:310:_step] ",
        "10:00:00 | ",
        "[rank0]:",
        "(main, pid=4112, ip=10.0.0.1) ",
        "\x1b[32m",
        "INFO:",
    ],
)
def test_what_loggers_and_launchers_put_before_a_line_is_no_part_of_it(prefix: str) -> None:
    assert pairs(without_prefix(f"{prefix}epoch 3 loss 0.5")) == [("epoch", 3), ("loss", 0.5)]
