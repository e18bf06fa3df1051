"""Mistral: `[INST]` turns; the system message stands inside the first of them."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily, Recipe

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

_SOURCE = (
    "Zephyr-7B's SFT of Mistral-7B on 200k chats, https://github.com/huggingface/"
    "alignment-handbook/blob/main/recipes/zephyr-7b-beta/sft/{}"
)
_RECIPE: Recipe = {"num_train_epochs": 1, "warmup_ratio": 0.1, "lr_scheduler_type": "cosine"}
_FULL: Recipe = {"learning_rate": 2e-5, **_RECIPE}
_LORA: Recipe = {"learning_rate": 2e-4, **_RECIPE}

MISTRAL = ModelFamily(
    name="mistral",
    title="Mistral",
    model_types=("mistral", "mixtral", "ministral"),
    chat_template=_TEMPLATE,
    end_of_turn="</s>",
    pad_tokens=("<pad>", "<unk>"),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    defaults=_FULL,
    default_sources=dict.fromkeys(_FULL, _SOURCE.format("config_full.yaml")),
    lora_defaults=_LORA,
    lora_default_sources=dict.fromkeys(_LORA, _SOURCE.format("config_qlora.yaml")),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [MISTRAL]
