"""A family for the TinyStories models: GPT-Neo, told stories only, without a chat format.

This is what `ftadvise plugins new tinyfamily --kind family` writes, filled in for one family; it
brings no recipe for a fine-tune.
"""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily

FTADVISE_API = 1  # the version of ftadvise's hooks that this is written for

# What the model has to say stands between the marks `generation`, its end of turn included.
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
