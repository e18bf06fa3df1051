"""Qwen 2, 2.5 and 3: ChatML, padded with `<|endoftext|>`, which no conversation contains."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily
from ftadvise.templates import CHATML

_SOURCE = "Qwen's own fine-tuning script (QwenLM/Qwen, finetune/finetune_ds.sh)"

QWEN = ModelFamily(
    name="qwen",
    title="Qwen",
    model_types=("qwen2", "qwen2_moe", "qwen3", "qwen3_moe"),
    chat_template=CHATML,
    end_of_turn="<|im_end|>",
    pad_tokens=("<|endoftext|>",),
    stop_tokens=("<|endoftext|>",),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    defaults={
        "learning_rate": 1e-5,
        "num_train_epochs": 5,
        "warmup_ratio": 0.01,
        "weight_decay": 0.1,
        "lr_scheduler_type": "cosine",
    },
    default_sources=dict.fromkeys(
        ("learning_rate", "num_train_epochs", "warmup_ratio", "weight_decay", "lr_scheduler_type"),
        _SOURCE,
    ),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [QWEN]
