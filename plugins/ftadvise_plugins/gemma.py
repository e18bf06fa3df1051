"""Gemma 1, 2 and 3: turns of `user` and `model`; the system message stands in the first one."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily, Recipe

_TEMPLATE = (
    "{{ bos_token }}"
    "{% set told = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% set told.system = message['content'] | trim + '\n\n' %}"
    "{% elif message['role'] == 'user' %}"
    "{{ '<start_of_turn>user\n' + told.system + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% set told.system = '' %}"
    "{% else %}"
    "{{ '<start_of_turn>model\n' }}"
    "{% generation %}{{ message['content'] | trim + '<end_of_turn>' }}{% endgeneration %}"
    "{{ '\n' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)

_RECIPE: Recipe = {
    "learning_rate": 2e-5,
    "num_train_epochs": 3,
    "warmup_ratio": 0.1,
    "lr_scheduler_type": "cosine",
}
_SOURCE = (
    "Zephyr-7B-Gemma's SFT of Gemma-7B on 10k chats, https://github.com/huggingface/"
    "alignment-handbook/blob/main/recipes/zephyr-7b-gemma/sft/config_full.yaml"
)

GEMMA = ModelFamily(
    name="gemma",
    title="Gemma",
    model_types=("gemma", "gemma2", "gemma3", "gemma3_text"),
    chat_template=_TEMPLATE,
    end_of_turn="<end_of_turn>",
    pad_tokens=("<pad>",),
    stop_tokens=("<eos>",),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    defaults=_RECIPE,
    default_sources=dict.fromkeys(_RECIPE, _SOURCE),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [GEMMA]
