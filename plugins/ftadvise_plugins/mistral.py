"""Mistral: `[INST]` turns; the system message stands inside the first of them."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily

_TEMPLATE = (
    "{{ bos_token }}"
    "{% set told = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% set told.system = message['content'] + '\n\n' %}"
    "{% elif message['role'] == 'user' %}"
    "{{ '[INST] ' + told.system + message['content'] + ' [/INST]' }}"
    "{% set told.system = '' %}"
    "{% else %}"
    "{% generation %}{{ ' ' + message['content'] | trim + '</s>' }}{% endgeneration %}"
    "{% endif %}"
    "{% endfor %}"
)

MISTRAL = ModelFamily(
    name="mistral",
    title="Mistral",
    model_types=("mistral", "mixtral", "ministral"),
    chat_template=_TEMPLATE,
    end_of_turn="</s>",
    pad_tokens=("<pad>", "<unk>"),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    defaults={
        "learning_rate": 2e-5,
        "num_train_epochs": 1,
        "warmup_ratio": 0.1,
        "lr_scheduler_type": "cosine",
    },
    default_sources=dict.fromkeys(
        ("learning_rate", "num_train_epochs", "warmup_ratio", "lr_scheduler_type"),
        "Zephyr-7B's SFT on 200k chats (huggingface/alignment-handbook, recipes/zephyr-7b-beta/sft)",
    ),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [MISTRAL]
