"""An evaluation, and the optimizer, where the device has no memory for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch
from tiny_models import arguments, pad, ragged_dataset, tiny_model, weights

from ftadvise_trainer.data.packing import Layout
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.speed.fused_loss import fuse

DATA = ragged_dataset(30, seed=2, longest=60)


class Narrow:
    """Stands in for a device without room for so many examples, or tokens, in an evaluation."""

    def __init__(self, model: Any, *, rows: int = 99, tokens: int = 9_999) -> None:
        self.rows, self.tokens, self.passes = rows, tokens, 0
        model.register_forward_pre_hook(self.check, with_kwargs=True)

    def check(self, module: Any, args: Any, kwargs: Any) -> None:
        rows, tokens = kwargs["input_ids"].shape
        self.passes += 1
        if not module.training and (rows > self.rows or tokens > self.tokens):
            raise torch.OutOfMemoryError("CUDA out of memory")


def trainer(folder: Path, model: Any, layout: Layout | None = None, **more: Any) -> Any:
    head = fuse(model) if more.pop("fused", False) else None
    settings = {"per_device_eval_batch_size": 8, "prediction_loss_only": True} | more
    made = FineTuner(
        model,
        arguments(folder, **settings),
        data_collator=pad,
        train_dataset=DATA,
        eval_dataset=DATA,
        layout=layout,
        head=head,
    )
    said: list[str] = []
    made.say = said.append
    return made, said


@pytest.mark.parametrize("fused", [False, True])
def test_an_evaluation_without_room_goes_on_in_halves_to_the_same_loss(
    tmp_path: Path, fused: bool
) -> None:
    whole = trainer(tmp_path, tiny_model(), fused=fused)[0].evaluate()
    model = tiny_model()
    device = Narrow(model, rows=3)
    made, said = trainer(tmp_path, model, fused=fused)
    found = [made.evaluate() for _ in range(2)]
    for metrics in found:
        assert metrics["eval_loss"] == pytest.approx(whole["eval_loss"], abs=1e-6)
        assert metrics["eval_tokens"] == whole["eval_tokens"]
    # 8 examples, then 4, then 2: said once each, and kept for the second evaluation.
    assert [line.split("with ")[1].split(" ex")[0] for line in said] == ["8", "4"]
    assert "per_device_eval_batch_size" in said[0]
    assert device.passes == 2 + 2 * 15


def test_packed_rows_without_room_are_halved_to_the_same_eval_loss(tmp_path: Path) -> None:
    layout = Layout(pad_id=0, row_tokens=512)
    whole = trainer(tmp_path, tiny_model(), layout)[0].evaluate()
    model = tiny_model()
    Narrow(model, tokens=300)
    made, said = trainer(tmp_path, model, layout)
    metrics = made.evaluate()
    assert metrics["eval_loss"] == pytest.approx(whole["eval_loss"], abs=1e-6)
    assert metrics["eval_tokens"] == whole["eval_tokens"]
    assert len(said) == 1
    assert "they have at most 256" in said[0]
    assert made.layout == layout, "the training may have room for more"
    made.evaluate()
    assert len(said) == 1


@pytest.mark.parametrize(
    ("layout", "narrow"),
    [(None, {"rows": 0}), (Layout(pad_id=0, row_tokens=512), {"tokens": 20})],
)
def test_an_example_without_room_in_an_evaluation_is_an_error_with_advice(
    tmp_path: Path, layout: Layout | None, narrow: dict[str, int]
) -> None:
    model = tiny_model()
    Narrow(model, **narrow)
    with pytest.raises(TrainError, match="out of memory in an evaluation") as caught:
        trainer(tmp_path, model, layout)[0].evaluate()
    assert caught.value.code == "FT501"
    assert "data.max_length" in caught.value.hint


def test_an_optimizer_without_room_says_what_takes_less_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = torch.optim.AdamW.step, 0

    def third_fails(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, *args, **kwargs)

    how: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4}
    whole, _ = trainer(tmp_path / "whole", tiny_model(), **how)
    whole.train()
    monkeypatch.setattr(torch.optim.AdamW, "step", third_fails)
    made, _ = trainer(tmp_path / "cut", tiny_model(), **how)
    with pytest.raises(TrainError, match="in the optimizer, at step 3") as caught:
        made.train()
    assert caught.value.code == "FT501"
    assert "training.sharding" in caught.value.hint
    assert "No checkpoint" in caught.value.hint, "transformers' own have no manifest"
    again, _ = trainer(tmp_path / "cut", tiny_model(), **how)
    again.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-2"))
    for name, tensor in weights(again.model).items():
        assert torch.equal(tensor, weights(whole.model)[name]), name


def test_memory_that_runs_out_elsewhere_is_not_laid_to_the_optimizer(tmp_path: Path) -> None:
    made, _ = trainer(tmp_path, tiny_model(), max_steps=2)

    def fails(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    made.data_collator = fails
    with pytest.raises(torch.OutOfMemoryError):
        made.train()
