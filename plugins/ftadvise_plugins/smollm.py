"""SmolLM 1, 2 and 3: ChatML on Llama's architecture."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily
from ftadvise.templates import CHATML

SMOLLM = ModelFamily(
    name="smollm",
    title="SmolLM",
    model_types=("llama", "smollm3"),
    name_hints=("smollm",),
    chat_template=CHATML,
    end_of_turn="<|im_end|>",
    pad_tokens=("<|finetune_right_pad_id|>", "<empty_output>", "<|endoftext|>"),
    stop_tokens=("<|endoftext|>", "<|end_of_text|>"),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    defaults={
        "learning_rate": 3e-4,
        "num_train_epochs": 2,
        "warmup_ratio": 0.1,
        "lr_scheduler_type": "cosine",
    },
    default_sources=dict.fromkeys(
        ("learning_rate", "num_train_epochs", "warmup_ratio", "lr_scheduler_type"),
        "SmolLM2-1.7B's SFT (huggingface/alignment-handbook, recipes/smollm2/sft/config.yaml)",
    ),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [SMOLLM]
