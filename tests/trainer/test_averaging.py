"""The mean of the best checkpoints becomes `final` where its eval loss is lower, and only there."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tiny_runs
import torch
from safetensors.torch import load_file, save_file

from ftadvise_trainer.config import LoraSettings
from ftadvise_trainer.saving.averaging import greedy, mean_weights, write_mean
from ftadvise_trainer.saving.manifest import read_manifest
from ftadvise_trainer.settings.checks import problems
from ftadvise_trainer.training import train

if TYPE_CHECKING:
    from ftadvise_trainer.config import Config

A, B, C = Path("a"), Path("b"), Path("c")


def test_a_checkpoint_joins_the_average_only_if_that_gets_better_for_it() -> None:
    losses: dict[tuple[Path, ...], float] = {(A, B): 1.1, (A, C): 0.9}

    found = greedy([(C, 1.3), (A, 1.0), (B, 1.2)], lambda folders: losses[tuple(folders)])

    assert found is not None
    assert found.members == (A, C)
    assert found.eval_loss == 0.9


@pytest.mark.parametrize("loss", [1.0, 1.5, math.nan, -math.inf])
def test_the_best_checkpoint_stays_alone_unless_an_average_is_truly_lower(loss: float) -> None:
    assert greedy([(A, 1.0), (B, 1.2)], lambda folders: loss) is None
    assert greedy([(A, 1.0)], lambda folders: 0.0) is None
    assert greedy([], lambda folders: 0.0) is None


def _checkpoint(folder: Path, value: float, dtype: torch.dtype = torch.float32) -> Path:
    folder.mkdir()
    weights = {"w": torch.full((3, 2), value, dtype=dtype), "count": torch.tensor([int(value)])}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_weights_are_averaged_in_float32_and_whole_numbers_are_those_of_the_best(
    tmp_path: Path,
) -> None:
    values = (256.0, 257.0, 259.0)  # bfloat16 has no 257: a sum in it would go wrong
    folders = [_checkpoint(tmp_path / str(v), v) for v in values]

    found = mean_weights(folders)

    assert torch.allclose(found["w"], torch.full((3, 2), sum(values) / 3), rtol=1e-7)
    assert found["count"].tolist() == [256]


def test_the_mean_keeps_the_type_that_the_weights_are_saved_in(tmp_path: Path) -> None:
    folders = [_checkpoint(tmp_path / str(v), v, torch.bfloat16) for v in (1.0, 2.0)]

    assert mean_weights(folders)["w"].dtype == torch.bfloat16


def test_a_linked_checkpoint_is_not_written_into(tmp_path: Path) -> None:
    one, two = (_checkpoint(tmp_path / name, v) for name, v in (("x", 1.0), ("y", 3.0)))
    target = tmp_path / "final"
    target.mkdir()
    (target / "model.safetensors").hardlink_to(one / "model.safetensors")

    write_mean([one, two], target)

    assert load_file(target / "model.safetensors")["w"].tolist() == [[2.0, 2.0]] * 3
    assert load_file(one / "model.safetensors")["w"].tolist() == [[1.0, 1.0]] * 3


def test_checkpoints_with_other_tensors_are_refused(tmp_path: Path) -> None:
    one, two = _checkpoint(tmp_path / "x", 1.0), _checkpoint(tmp_path / "y", 2.0)
    save_file({"v": torch.zeros(1)}, two / "model.safetensors")

    with pytest.raises(ValueError, match="same tensors"):
        mean_weights([one, two])


def _jittery(folder: Path) -> Config:
    """A run whose rate is too high and stays so: its checkpoints lie around the bottom."""
    return tiny_runs.config(
        folder,
        learning_rate=0.02,
        lr_scheduler_type="constant",
        average_checkpoints=True,
        save_total_limit=4,
        packing=False,  # whether the mean is better hangs on what dropout draws, here unpacked
    )


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21
@pytest.mark.parametrize("lora", [None, LoraSettings(r=4), LoraSettings(r=4, merge=True)])
def test_final_is_the_mean_where_that_is_better_and_gives_its_eval_loss_when_loaded_again(
    tmp_path: Path, lora: LoraSettings | None
) -> None:
    said = io.StringIO()
    outcome = train(replace(_jittery(tmp_path), lora=lora), stream=said)

    metrics = json.loads((tmp_path / "training_metrics.json").read_text())
    averaged = metrics["averaged"]
    manifest = read_manifest(tmp_path / "final")
    assert manifest is not None
    assert manifest.eval_loss == averaged["eval_loss"] < metrics["best"]["eval_loss"]
    assert "final is the mean of the checkpoints of steps" in said.getvalue()
    assert outcome.best == {k: metrics["best"][k] for k in ("eval_loss", "epoch", "step")}
    if lora is None or not lora.merge:
        name = "adapter_model.safetensors" if lora else "model.safetensors"
        members = [tmp_path / f"checkpoint-{step}" for step in averaged["steps"]]
        expected, found = mean_weights(members), load_file(tmp_path / "final" / name)
        assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_without_the_wish_final_is_the_best_checkpoint(tmp_path: Path) -> None:
    config = _jittery(tmp_path)
    alone = replace(config, training=replace(config.training, average_checkpoints=None))
    train(alone, stream=io.StringIO())

    metrics = json.loads((tmp_path / "training_metrics.json").read_text())
    assert "averaged" not in metrics
    best = load_file(Path(metrics["best"]["checkpoint"]) / "model.safetensors")
    final = load_file(tmp_path / "final" / "model.safetensors")
    assert all(torch.equal(final[key], best[key]) for key in best)


def test_who_wants_the_last_model_gets_it_and_no_mean_of_the_best(tmp_path: Path) -> None:
    config = _jittery(tmp_path)
    last = replace(config, training=replace(config.training, load_best_model_at_end=False))
    train(last, stream=io.StringIO())

    assert "averaged" not in json.loads((tmp_path / "training_metrics.json").read_text())
    expected = load_file(tmp_path / f"checkpoint-{tiny_runs.STEPS}" / "model.safetensors")
    final = load_file(tmp_path / "final" / "model.safetensors")
    assert all(torch.equal(final[key], expected[key]) for key in expected)
    assert "average_checkpoints" in {key for _, key, _ in problems(last)}
