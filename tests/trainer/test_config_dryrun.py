"""What a dry run counts: steps as the Trainer makes them, memory, disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_runs
import torch
from made_dry_runs import made_dry_run

from ftadvise.families import ModelFamily
from ftadvise_trainer.config import Config, LoraSettings, ModelConfig, TrainingConfig
from ftadvise_trainer.dryrun import dry_run, report, size, steps_of
from ftadvise_trainer.speed import memory, row_size
from ftadvise_trainer.speed.memory import Memory, Shape, needed, shape_of


class _Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor([1.0 + index]), "labels": torch.tensor([1.0])}


class _Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (self.layer(x) - labels).square().mean()}


@pytest.mark.parametrize(
    ("examples", "epochs", "accumulation", "keys"),
    [
        (10, 2.0, 1, {}),
        (11, 2.5, 2, {}),
        (9, 1.0, 4, {}),
        (3, 3.0, 5, {}),
        (20, 3.0, 1, {"more": {"max_steps": 7}}),
        (13, 2.0, 1, {"eval_strategy": "steps", "eval_steps": 3}),
        (13, 1.5, 2, {"more": {"eval_on_start": True}}),
        (13, 1.5, 2, {"eval_strategy": "no", "load_best_model_at_end": False}),
    ],
)
def test_steps_and_evaluations_are_those_that_the_trainer_makes(
    tmp_path: Path, examples: int, epochs: float, accumulation: int, keys: dict[str, Any]
) -> None:
    import transformers

    from ftadvise_trainer.arguments import training_arguments

    training = TrainingConfig(
        output_dir=str(tmp_path),
        num_train_epochs=epochs,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=accumulation,
        save_strategy="steps",
        save_steps=10**6,
        **keys,
    )
    config = Config(training=training)
    arguments = training_arguments(config)
    trainer = transformers.Trainer(
        model=_Model(), args=arguments, train_dataset=_Rows(examples), eval_dataset=_Rows(4)
    )
    trainer.train()
    made = steps_of(config, examples, int(arguments.train_batch_size), int(arguments.world_size))
    evaluations = sum("eval_loss" in entry for entry in trainer.state.log_history)
    assert (made.total, made.evaluations) == (trainer.state.global_step, evaluations)


def test_more_processes_make_fewer_steps() -> None:
    config = Config(training=TrainingConfig(num_train_epochs=1.0, gradient_accumulation_steps=2))
    made = steps_of(config, examples=100, train_batch=4, processes=3)
    assert (made.batch, made.per_epoch, made.total) == (24, 5, 5)


@pytest.mark.parametrize("processes", [1, 3])
def test_a_batch_size_counts_instead_of_what_each_process_takes(processes: int) -> None:
    config = Config(training=TrainingConfig(num_train_epochs=2.0, batch_size=24))
    made = steps_of(config, examples=100, train_batch=8, processes=processes)
    assert (made.batch, made.per_epoch, made.total) == (24, 5, 10)


MODEL = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 96,
    "tie_word_embeddings": True,
}


@pytest.fixture
def tiny(tmp_path: Path) -> Config:
    (tmp_path / "config.json").write_text(json.dumps(MODEL))
    return Config(model=ModelConfig(config=str(tmp_path)))


def built(tiny: Config) -> Any:
    from transformers import AutoModelForCausalLM

    from ftadvise_trainer.models import model_config

    return AutoModelForCausalLM.from_config(model_config(tiny))


def test_the_shape_is_that_of_the_model_without_its_weights(tiny: Config) -> None:
    shape = shape_of(tiny, ModelFamily("any"))
    count = sum(p.numel() for p in built(tiny).parameters())
    assert shape == Shape(count, count, 2, 32, 64, 96)


# peft reads a name that transformers is about to drop.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("targets", [(), ("q_proj", "down_proj")])
def test_the_adapter_has_as_many_parameters_as_peft_makes(
    tiny: Config, targets: tuple[str, ...]
) -> None:
    from peft import LoraConfig, get_peft_model

    config = replace(tiny, lora=LoraSettings(r=4, target_modules=targets))
    wanted = LoraConfig(r=4, target_modules=list(targets) or "all-linear", task_type="CAUSAL_LM")
    made = get_peft_model(built(tiny), wanted)
    trainable = sum(p.numel() for p in made.parameters() if p.requires_grad)
    assert shape_of(config, ModelFamily("any")).trainable == trainable


@pytest.mark.parametrize(
    ("dtype", "autocast"),
    [(torch.float32, False), (torch.float32, True), (torch.bfloat16, False)],
)
def test_activations_are_about_what_autograd_keeps(
    tiny: Config, dtype: torch.dtype, autocast: bool
) -> None:
    model = built(tiny).to(dtype)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    shapes = {shape for p in model.parameters() for shape in (p.shape, p.shape[::-1])}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        copy_of_weight = tensor.shape in shapes and tensor.dtype != dtype
        if storage.data_ptr() not in weights and not copy_of_weight:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.arange(8 * 63).reshape(8, 63) % 96
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=autocast),
    ):
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    shape = shape_of(tiny, ModelFamily("any"))
    estimate = needed(shape, ids.numel(), weight_bytes=dtype.itemsize, autocast=autocast)
    # Above 1 too for the logits: what the backward pass adds to them is not among what is kept.
    assert 0.8 < estimate.activations / sum(kept.values()) < 1.6


def test_memory_is_counted_by_the_formula_that_is_shown() -> None:
    shape = Shape(1000, 100, layers=2, hidden=8, feed_forward=16, vocabulary=50)
    full = needed(shape, 10, weight_bytes=4, autocast=True)
    assert full == Memory(4000, 400, 800, 2000, 10 * (2 * (17 * 8 + 64) * 2 + 50 * 10))
    assert full.total == 4000 + 400 + 800 + 2000 + full.activations
    again = needed(shape, 10, weight_bytes=4, autocast=True, checkpointing=True)
    assert again.activations < full.activations
    assert needed(shape, 10, weight_bytes=2, autocast=True).autocast_copies == 0
    plain = needed(shape, 10, weight_bytes=4, autocast=False)
    assert plain.activations == 10 * (2 * (10 * 8 + 64) * 4 + 50 * 12)


def test_kahan_sums_take_as_much_as_another_moment() -> None:
    shape = Shape(1000, 100, layers=2, hidden=8, feed_forward=16, vocabulary=50)
    plain, kahan = (
        needed(shape, 10, weight_bytes=2, autocast=True, kahan=flag) for flag in (False, True)
    )
    assert kahan == replace(plain, adam=plain.adam + 200)


def test_a_loss_in_pieces_keeps_the_logits_of_one_piece_however_many_tokens_there_are() -> None:
    shape = Shape(1000, 100, layers=2, hidden=8, feed_forward=16, vocabulary=100_000)
    how: dict[str, Any] = {"weight_bytes": 4, "autocast": True}
    few, many = 10_000, 20_000
    plain = [needed(shape, n, **how).activations for n in (few, many)]
    fused = [needed(shape, n, **how, fused=True).activations for n in (few, many)]
    assert plain[1] == 2 * plain[0]
    assert plain[0] - fused[0] == few * 100_000 * 10 - memory.PIECE - 32 * few - 64 * 100_000
    assert fused[1] - fused[0] == (few * (2 * (17 * 8 + 64) * 2 + 4 * 8))


def test_what_does_not_fit_is_said_loudly() -> None:
    assert "NOT ENOUGH" not in report(made_dry_run())
    assert "40 bytes needed in out, 39 bytes free: NOT ENOUGH" in report(
        made_dry_run(disk_free=39)
    )
    assert "about 11 bytes of main memory needed, 9 bytes free: NOT" in report(
        made_dry_run(memory_free=9)
    )


def test_free_memory_is_that_of_the_gpu_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    where, free = memory.available(use_cpu=True)
    assert where == "of main memory"
    assert free > 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (7, 9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert memory.available(use_cpu=False) == ("on a GPU", 7)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1.5e9, "1.5 GB"), (2e13, "20 TB")]
)
def test_bytes_are_written_for_people(number: float, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("said", "again"), [({}, True), ({"gradient_checkpointing": False}, False)]
)
def test_a_dry_run_counts_on_the_checkpointing_that_the_run_will_switch_on(
    said: dict[str, Any], again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(tiny_runs.config(tmp_path, more=said), lora=None)
    roomy = row_size.room_for

    def narrow(*args: Any) -> row_size.Room:
        """As much as no row without checkpointing takes, and any row with it."""
        room = replace(roomy(*args), memory=None)
        both = (room.needs(row_size.LEAST, checkpointing=flag).total for flag in (True, False))
        return replace(room, memory=sum(both) // 2)

    monkeypatch.setattr(row_size, "room_for", narrow)
    found = dry_run(config)
    assert any("activation checkpointing" in line for line in found.data) is again


def several(folder: Path, nproc: int, sharding: str, nnodes: int = 1, **more: Any) -> Any:
    loaded = replace(tiny_runs.config(folder, sharding=sharding, batch_size=24), **more)
    return dry_run(loaded, nproc=nproc, nnodes=nnodes)


def test_a_dry_run_of_several_processes_counts_what_each_of_them_holds(tmp_path: Path) -> None:
    alone, ddp, fsdp = (
        several(tmp_path, nproc, kind) for nproc, kind in ((1, "auto"), (4, "ddp"), (4, "fsdp"))
    )
    assert (alone.processes, ddp.processes, fsdp.processes) == (1, 4, 4)
    assert alone.spread == ""
    assert "needed by each of 4 processes" in report(ddp)
    assert ddp.steps == alone.steps, "a batch_size is over all of them"
    assert ddp.memory.gradients == 2 * alone.memory.gradients
    assert (ddp.memory.weights, ddp.memory.adam) == (alone.memory.weights, alone.memory.adam)
    for part in ("weights", "gradients", "adam"):
        assert getattr(fsdp.memory, part) == -(-getattr(alone.memory, part) // 4)
    assert ddp.checkpoint == alone.checkpoint
    assert fsdp.checkpoint - alone.checkpoint == alone.memory.weights


def test_a_dry_run_counts_the_bytes_of_kahan_sums(tmp_path: Path) -> None:
    plain, kahan = (
        several(
            tmp_path,
            1,
            "auto",
            model=replace(tiny_runs.config(tmp_path).model, dtype="bfloat16"),
            training=replace(tiny_runs.config(tmp_path).training, bf16_updates=updates),
        )
        for updates in ("stochastic", "kahan")
    )
    assert kahan.memory.adam - plain.memory.adam == plain.memory.gradients
    assert kahan.checkpoint - plain.checkpoint == plain.memory.gradients
