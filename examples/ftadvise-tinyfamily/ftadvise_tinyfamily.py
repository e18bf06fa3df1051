"""A family for the TinyStories models: GPT-Neo, told stories only, without a chat format.

The two files of this folder are all that a plugin needs: this module, and a pyproject.toml that
names it under the entry points of `ftadvise`. Its test is one line:

    check_family(TINY_STORIES)
"""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily

TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ 'Answer:' }}"
    "{% generation %}{{ ' ' + message['content'] + '<|endoftext|>' }}{% endgeneration %}"
    "{{ '\n' }}"
    "{% elif message['role'] == 'user' %}"
    "{{ 'Question: ' + message['content'] + '\n' }}"
    "{% else %}"
    "{{ message['content'] + '\n' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}"
)

TINY_STORIES = ModelFamily(
    name="tinystories",
    title="TinyStories",
    model_types=("gpt_neo",),
    name_hints=("tinystories",),
    chat_template=TEMPLATE,
    end_of_turn="<|endoftext|>",
    lora_targets=("q_proj", "k_proj", "v_proj", "out_proj"),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [TINY_STORIES]
