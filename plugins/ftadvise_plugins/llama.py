"""Llama 3 with its headers, Llama 2 with `[INST]`, and Alpaca, told apart by name and tokens."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily, Recipe

_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

_LLAMA3 = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] | trim + '<|eot_id|>' }}{% endgeneration %}"
    "{% else %}"
    "{{ message['content'] | trim + '<|eot_id|>' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{% endif %}"
)

# The system message stands inside the first user turn.
_LLAMA2 = (
    "{% set told = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% set told.system = '<<SYS>>\n' + message['content'] | trim + '\n<</SYS>>\n\n' %}"
    "{% elif message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + told.system + message['content'] | trim + ' [/INST]' }}"
    "{% set told.system = '' %}"
    "{% else %}"
    "{% generation %}{{ ' ' + message['content'] | trim + ' </s>' }}{% endgeneration %}"
    "{% endif %}"
    "{% endfor %}"
)

# An Alpaca record keeps its two fields apart in `instruction` and `input` beside `content`.
_ALPACA = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}"
    "{% set given = message['input'] | default('') %}"
    "{% if loop.first and given %}"
    "{{ 'Below is an instruction that describes a task, paired with an input that provides "
    "further context. Write a response that appropriately completes the request.\n\n' }}"
    "{% elif loop.first %}"
    "{{ 'Below is an instruction that describes a task. Write a response that appropriately "
    "completes the request.\n\n' }}"
    "{% endif %}"
    "{% if given %}"
    "{{ '### Instruction:\n' + message['instruction'] + '\n\n### Input:\n' + given + '\n\n' }}"
    "{% else %}"
    "{{ '### Instruction:\n' + message['content'] + '\n\n' }}"
    "{% endif %}"
    "{{ '### Response:\n' }}"
    "{% else %}"
    "{% generation %}{{ message['content'] + '</s>' }}{% endgeneration %}{{ '\n\n' }}"
    "{% endif %}"
    "{% endfor %}"
)

_LLAMA2_RECIPE: Recipe = {
    "learning_rate": 2e-5,
    "num_train_epochs": 2,
    "weight_decay": 0.1,
    "lr_scheduler_type": "cosine",
}
_LLAMA2_SOURCE = "the Llama 2 paper, section 3.1, https://arxiv.org/abs/2307.09288"

_ALPACA_RECIPE: Recipe = {
    "learning_rate": 2e-5,
    "num_train_epochs": 3,
    "warmup_ratio": 0.03,
    "weight_decay": 0.0,
    "lr_scheduler_type": "cosine",
}
_ALPACA_SOURCE = (
    "Stanford Alpaca's command for LLaMA-7B, "
    "https://github.com/tatsu-lab/stanford_alpaca/blob/main/README.md"
)

LLAMA3 = ModelFamily(
    name="llama3",
    title="Llama 3",
    model_types=("llama",),
    chat_template=_LLAMA3,
    end_of_turn="<|eot_id|>",
    pad_tokens=("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>"),
    stop_tokens=("<|end_of_text|>", "<|eom_id|>"),
    lora_targets=_LINEAR,
)

LLAMA2 = ModelFamily(
    name="llama2",
    title="Llama 2",
    model_types=("llama",),
    chat_template=_LLAMA2,
    end_of_turn="</s>",
    pad_tokens=("<unk>",),
    lora_targets=_LINEAR,
    defaults=_LLAMA2_RECIPE,
    default_sources=dict.fromkeys(_LLAMA2_RECIPE, _LLAMA2_SOURCE),
)

ALPACA = ModelFamily(
    name="alpaca",
    title="Alpaca",
    model_types=("llama",),
    name_hints=("alpaca",),
    chat_template=_ALPACA,
    end_of_turn="</s>",
    pad_tokens=("<unk>",),
    lora_targets=_LINEAR,
    defaults=_ALPACA_RECIPE,
    default_sources=dict.fromkeys(_ALPACA_RECIPE, _ALPACA_SOURCE),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the three families."""
    return [LLAMA3, LLAMA2, ALPACA]
