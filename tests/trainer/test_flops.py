"""FLOPs are counted as the field counts them, by hand here, and against torch's own counter."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig, Qwen2Config

from ftadvise_trainer.speed import flops

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
QKVO = 32 * 32 + 2 * 32 * 16 + 32 * 32
LAYER = QKVO + 3 * 32 * 48 + 2 * 32  # matrices of attention and MLP, two norms


def model_of(config: Any) -> Any:
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("tied", [True, False])
def test_a_token_costs_six_for_each_parameter_and_the_head_whether_tied_or_not(tied: bool) -> None:
    found = flops.of_model(model_of(LlamaConfig(**SMALL, tie_word_embeddings=tied)))
    assert found is not None
    parameters = 2 * LAYER + 32
    assert found.per_token() == 6 * (parameters + 100 * 32)
    assert found.per_token(length=10) - found.per_token() == 12 * 2 * 4 * 8 * 10
    assert found.per_token(head_share=0.25) == 6 * (parameters + 100 * 32 / 4)


def test_the_count_is_what_torch_counts_when_a_step_runs() -> None:
    settings: dict[str, Any] = SMALL | {"attn_implementation": "eager"}
    model = model_of(LlamaConfig(**settings))
    ids = torch.arange(24).reshape(2, 12)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    found = flops.of_model(model)
    assert found is not None
    # Norms are counted by us and not by torch; they are a thousandth of any real model.
    norms = 6 * (2 * 2 * 32 + 32) * ids.numel()
    assert found.per_token(length=12) * ids.numel() - norms == counter.get_total_flops()


# peft reads a name that transformers is about to drop.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_frozen_matrices_cost_four_and_adapters_six() -> None:
    from peft import LoraConfig, get_peft_model

    base = model_of(LlamaConfig(**SMALL))
    model: Any = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"]))
    found = flops.of_model(model)
    assert found is not None
    adapter = 2 * 2 * (32 + 32)
    assert found.per_token() == 4 * (2 * LAYER + 32 + 100 * 32) + 6 * adapter


def test_experts_count_by_the_share_that_a_token_goes_through() -> None:
    config: dict[str, Any] = {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 1}
    found = flops.of_model(model_of(MixtralConfig(**config)))
    assert found is not None
    expert = 3 * 32 * 48
    router = 4 * 32
    assert found.trained == 2 * (QKVO + 2 * 32 + router + expert) + 32


def test_the_head_of_qwen_0_5b_is_a_quarter_to_a_third_of_a_token() -> None:
    config = Qwen2Config(
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        vocab_size=151_936,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        model = model_of(config)
    found = flops.of_model(model)
    assert found is not None
    # Its model card: 0.49B parameters, 0.36B without the embedding.
    assert found.trained == pytest.approx(0.358e9, rel=0.01)
    assert found.per_token() == pytest.approx(6 * 0.494e9, rel=0.01)


def test_what_is_not_understood_has_no_number() -> None:
    assert flops.of_model(torch.nn.Linear(2, 2)) is None


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA H20", 148e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None),
        ("NVIDIA A10", 125e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA B200", 2250e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("CPU", None),
        ("Tesla T4", None),
    ],
)
def test_a_gpu_is_known_by_its_name_or_not_at_all(name: str, peak: float | None) -> None:
    assert flops.peak(name) == peak


def test_mfu_is_the_share_of_the_peak_of_all_devices() -> None:
    assert flops.mfu(400e12, 2.0, 100e12, devices=4) == 0.5
    assert flops.mfu(400e12, 2.0, None) is None
    assert flops.mfu(400e12, 0.0, 100e12) is None
