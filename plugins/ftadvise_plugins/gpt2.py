"""GPT-2: no chat format of its own and no token to pad with, so that one is added."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily
from ftadvise.templates import PLAIN

GPT2 = ModelFamily(
    name="gpt2",
    title="GPT-2",
    model_types=("gpt2",),
    chat_template=PLAIN,
    end_of_turn="<|endoftext|>",
    lora_targets=("c_attn", "c_proj", "c_fc"),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [GPT2]
