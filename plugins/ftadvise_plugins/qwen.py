"""Qwen 2, 2.5 and 3: ChatML, padded with `<|endoftext|>`, which no conversation contains."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily, Recipe
from ftadvise.templates import CHATML

_SOURCE = "Qwen's own fine-tuning script, https://github.com/QwenLM/Qwen/blob/main/finetune/{}"
_RECIPE: Recipe = {
    "num_train_epochs": 5,
    "warmup_ratio": 0.01,
    "weight_decay": 0.1,
    "lr_scheduler_type": "cosine",
}
_FULL: Recipe = {"learning_rate": 1e-5, **_RECIPE}
_LORA: Recipe = {"learning_rate": 3e-4, **_RECIPE}

QWEN = ModelFamily(
    name="qwen",
    title="Qwen",
    model_types=("qwen2", "qwen2_moe", "qwen3", "qwen3_moe"),
    chat_template=CHATML,
    end_of_turn="<|im_end|>",
    pad_tokens=("<|endoftext|>",),
    stop_tokens=("<|endoftext|>",),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    defaults=_FULL,
    default_sources=dict.fromkeys(_FULL, _SOURCE.format("finetune_ds.sh")),
    lora_defaults=_LORA,
    lora_default_sources=dict.fromkeys(_LORA, _SOURCE.format("finetune_lora_ds.sh")),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [QWEN]
