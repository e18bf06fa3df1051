"""The arguments that transformers.Trainer is given, really built."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from ftadvise_trainer import arguments as room
from ftadvise_trainer.arguments import precision, training_arguments
from ftadvise_trainer.bf16.weight_types import held
from ftadvise_trainer.config import Config, LoraSettings, ModelConfig, TrainingConfig
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes.spread import widened
from ftadvise_trainer.settings.checks import _SCHEDULERS  # pyright: ignore[reportPrivateUsage]
from ftadvise_trainer.settings.keys import argument_types


def built(more: dict[str, Any] | None = None, **keys: Any) -> transformers.TrainingArguments:
    settings: dict[str, Any] = {"save_strategy": "epoch", "output_dir": "nowhere"} | keys
    return training_arguments(Config(training=TrainingConfig(**settings, more=more or {})))


def test_what_the_promises_hang_on_is_set_whatever_the_settings_say() -> None:
    found = built({"save_total_limit": 2, "logging_nan_inf_filter": True}, save_total_limit=5)
    assert found.save_total_limit is None
    assert found.load_best_model_at_end is False
    assert found.logging_nan_inf_filter is False
    assert found.prediction_loss_only is True
    assert found.remove_unused_columns is False
    assert found.average_tokens_across_devices is True
    assert found.disable_tqdm is True
    assert found.greater_is_better is False


def test_nothing_is_reported_to_a_logger_that_was_not_asked_for() -> None:
    assert built().report_to == []


def test_the_settings_arrive_under_the_names_of_transformers() -> None:
    found = built(
        {"adam_beta2": 0.95},
        num_train_epochs=7.0,
        learning_rate=2e-5,
        eval_strategy="steps",
        eval_steps=24,
        save_strategy="steps",
        save_steps=48,
        warmup_ratio=0.1,
        lr_scheduler_type="cosine",
        seed=7,
    )
    assert (found.num_train_epochs, found.learning_rate) == (7.0, 2e-5)
    assert (found.eval_strategy, found.eval_steps) == ("steps", 24)
    assert (found.save_strategy, found.save_steps) == ("steps", 48)
    assert found.get_warmup_steps(1000) == 100
    assert found.lr_scheduler_type == "cosine"
    assert (found.seed, found.data_seed) == (7, 7)
    assert found.adam_beta2 == 0.95
    assert found.output_dir == "nowhere"
    assert not Path("nowhere").exists()


def test_steps_of_warm_up_take_the_place_of_their_share() -> None:
    assert built({"warmup_steps": 5.0}, warmup_ratio=0.0).get_warmup_steps(1000) == 5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("key", ["gradient_checkpointing", "activation_checkpointing"])
def test_checkpointing_of_activations_works_under_its_old_and_new_name(key: str) -> None:
    assert built({key: True}).gradient_checkpointing is True


def test_without_an_accelerator_the_cpu_is_used_and_said() -> None:
    if torch.accelerator.is_available():
        pytest.skip("there is an accelerator")
    assert built().use_cpu is True
    decided = precision(Config())
    assert decided.autocast is False
    assert decided.note == "float32 master weights, no autocast: no CUDA GPU is used"


@pytest.mark.parametrize(
    ("wanted", "cuda", "supported", "autocast", "words"),
    [
        (None, True, True, True, "bf16 autocast"),
        (None, True, False, False, "no autocast: this GPU does not support bf16"),
        (False, True, True, False, "no autocast, as set"),
        (True, False, False, True, "bf16 autocast as set"),
    ],
)
def test_bf16_is_taken_where_the_gpu_has_it_unless_the_yaml_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
    wanted: bool | None,
    cuda: bool,
    supported: bool,
    autocast: bool,
    words: str,
) -> None:
    pretend_gpu(monkeypatch, cuda, supported)
    decided = precision(Config(training=TrainingConfig(bf16=wanted)))
    assert decided.autocast is autocast
    assert decided.note == f"float32 master weights, {words}"


def pretend_gpu(monkeypatch: pytest.MonkeyPatch, cuda: bool, supported: bool) -> None:
    def answer(including_emulation: bool = True) -> bool:
        return supported or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", answer)


def test_bf16_that_the_gpu_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch, cuda=True, supported=False)
    with pytest.raises(TrainError, match="does not support bf16"):
        precision(Config(training=TrainingConfig(bf16=True)))


@pytest.mark.parametrize(
    ("updates", "optim", "words"),
    [
        ("stochastic", "adamw_torch_fused", "updates rounded at random and right in the mean"),
        ("kahan", "adamw_torch", "what rounding leaves over is kept"),
        ("nearest", "adamw_torch", "updates below 1/512 of a weight are lost"),
        ("stochastic", "sgd", "rounded as training.optim does"),
    ],
)
def test_what_becomes_of_updates_of_bfloat16_weights_is_said(
    updates: str, optim: str, words: str
) -> None:
    training = TrainingConfig(bf16_updates=updates, more={"optim": optim})
    config = Config(model=ModelConfig(dtype="bfloat16"), training=training)
    assert words in precision(config).note
    adapter = dataclasses.replace(config, lora=LoraSettings())
    assert "under an adapter in float32" in precision(adapter).note


@pytest.mark.parametrize(
    ("bf16", "cut", "words"),
    [
        (True, True, "float32 master weights"),
        (True, False, "rounded at random"),
        (False, True, "rounded at random"),
    ],
)
def test_bfloat16_weights_that_fsdp_turns_into_float32_are_called_so(
    bf16: bool, cut: bool, words: str
) -> None:
    """As `fsdp2_prepare_model` of accelerate does, with mixed precision alone."""
    config = Config(model=ModelConfig(dtype="bfloat16"), training=TrainingConfig(bf16=bf16))
    assert words in precision(config, cut=cut).note
    wide = widened(config, cut, bf16)
    assert wide is (bf16 and cut)
    assert ("accelerate makes them so" in held(config, widened=wide)) is wide


def test_bf16_autocast_can_be_asked_for_on_a_cpu() -> None:
    assert built(bf16=True).bf16 is True


@pytest.mark.parametrize(
    "more", [{"optim": "blub"}, {"torch_empty_cache_steps": -1}, {"debug": "blub"}]
)
def test_what_transformers_refuses_is_a_train_error(more: dict[str, Any]) -> None:
    with pytest.raises(TrainError, match="transformers does not take these settings") as caught:
        built(more)
    assert caught.value.exit_code == 2


def test_an_old_transformers_is_refused_by_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.__version__", "4.57.1")
    with pytest.raises(TrainError, match=r"4\.57\.1 is too old") as caught:
        built()
    assert caught.value.code == "FT509"


def test_a_field_that_some_versions_lack_is_left_out_and_set_where_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @dataclasses.dataclass
    class Older(transformers.TrainingArguments):  # type: ignore[misc] # not read by mypy
        save_safetensors: bool = False

    monkeypatch.setattr("transformers.TrainingArguments", Older)
    assert built().save_safetensors is True  # pyright: ignore


def test_a_field_that_transformers_has_no_more_is_an_error_and_not_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(room._PROMISED, "gone_tomorrow", True)  # pyright: ignore
    with pytest.raises(TrainError, match="does not know gone_tomorrow") as caught:
        built()
    assert caught.value.code == "FT509"


def test_the_schedules_that_we_know_are_those_of_transformers() -> None:
    assert set(_SCHEDULERS) == {member.value for member in transformers.SchedulerType}


def test_a_parser_that_has_rewritten_the_fields_of_the_arguments_changes_no_type() -> None:
    parsed: Any = transformers.TrainingArguments
    transformers.HfArgumentParser(parsed)
    argument_types.cache_clear()
    assert dict in typing.get_args(argument_types()["lr_scheduler_kwargs"])


@pytest.mark.parametrize(("processes", "each"), [("1", 10), ("4", 3)])
def test_a_batch_size_is_shared_out_over_the_processes(
    monkeypatch: pytest.MonkeyPatch, processes: str, each: int
) -> None:
    monkeypatch.setattr("ftadvise_trainer.arguments.world_size", lambda: int(processes))
    found = built(batch_size=10, per_device_train_batch_size=2, gradient_accumulation_steps=1)
    assert found.per_device_train_batch_size == each
    assert found.gradient_accumulation_steps == 1


def test_tokens_are_not_counted_by_transformers_which_waits_for_the_device() -> None:
    assert built({"include_num_input_tokens_seen": "all"}).include_num_input_tokens_seen == "no"
