"""How a run is laid out, and what is said of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from packed_models import family_model
from tiny_models import Rows, arguments, ragged_dataset

from ftadvise_trainer.config import Config, TrainingConfig
from ftadvise_trainer.data.packing import Layout
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.speed.layouts import layout_of, lines, why_not
from ftadvise_trainer.speed.setting_up import set_up


def configured(more: dict[str, Any] | None = None, **keys: Any) -> Config:
    return Config(training=TrainingConfig(**keys, more=more or {}))


def test_rows_and_padding_are_counted_over_an_epoch() -> None:
    # Packed: 3 steps of 2 examples in one row each, 100 places. Padded: 2 x 90, 2 x 80 and 2 x 70.
    lengths = [90, 10, 80, 20, 70, 30]
    config = configured(batch_size=6, row_tokens=100, per_device_train_batch_size=6)
    layout = layout_of(config, 0, 100)
    assert layout is not None
    assert layout == Layout(0, 100, 1, 6, 6)
    (said,) = lines(config, layout, lengths)
    assert said == (
        "packing: an epoch in 3 rows of at most 100 tokens, 0.0% of it padding "
        f"({1 - 300 / 540:.1%} without packing)"
    )
    rounded = layout_of(config, 0, 100, on_gpu=True)
    assert rounded is not None
    assert f"{1 - 300 / 384:.1%} of it padding" in lines(config, rounded, lengths)[0]


def test_many_examples_are_looked_at_in_part() -> None:
    config = configured(batch_size=8)
    layout = Layout(0, 64, 1, 8)
    (said,) = lines(config, layout, [8] * 50_000)
    assert "the first 20,000 examples in 2,500 rows" in said


def test_many_short_rows_in_a_step_are_said_with_what_to_write_instead() -> None:
    config = configured(per_device_train_batch_size=2, gradient_accumulation_steps=8)
    said = lines(config, Layout(0, 1000, 1), [50] * 64)[1]
    assert "training.batch_size: 16 instead of" in said
    assert len(lines(config, Layout(0, 120, 1), [50] * 64)) == 1


@pytest.mark.parametrize(
    ("change", "config", "reason"),
    [
        ({}, configured(packing=False), "training.packing is false"),
        ({"n_gpu": 2}, configured(), "torchrun"),
        ({"neftune_noise_alpha": 5.0}, configured(), "neftune_noise_alpha"),
        ({}, configured(), None),
    ],
)
def test_settings_that_rule_packing_out(
    change: dict[str, Any], config: Config, reason: str | None
) -> None:
    args = SimpleNamespace(**({"n_gpu": 1, "neftune_noise_alpha": None} | change))
    found = why_not(config, args)
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


def test_a_model_that_cannot_be_packed_goes_on_without_and_says_why(tmp_path: Path) -> None:
    data = ragged_dataset(9)
    setup = set_up(configured(), arguments(tmp_path), family_model("gemma2"), 0, data)
    assert setup.layout is None
    assert setup.lines[0].startswith("packing: no, ")
    padded = set_up(configured(batch_size=4), arguments(tmp_path), family_model("gemma2"), 0, data)
    assert padded.layout == Layout(0, None, batch_size=4, examples=4)
    with pytest.raises(TrainError, match="cannot be packed"):
        set_up(configured(packing=True), arguments(tmp_path), family_model("gemma2"), 0, data)


def test_a_reason_in_the_settings_is_the_one_that_is_said(tmp_path: Path) -> None:
    args = arguments(tmp_path, neftune_noise_alpha=5.0)
    setup = set_up(configured(), args, family_model("llama"), 0, ragged_dataset(9))
    assert setup.layout is None
    assert re.match("packing: no, neftune_noise_alpha", setup.lines[0])


def test_a_row_holds_the_longest_example(tmp_path: Path) -> None:
    long = {"input_ids": [5] * 3000, "labels": [5] * 3000}
    data = Rows([*ragged_dataset(5).rows, long])
    setup = set_up(configured(), arguments(tmp_path), family_model("llama"), 0, data)
    assert setup.layout is not None
    assert setup.layout.row_tokens is not None
    assert setup.layout.row_tokens >= 3000
