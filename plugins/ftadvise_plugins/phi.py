"""Phi 3 and Phi 4, which share a `model_type` and differ in how a turn is written."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily, Recipe

_LINEAR = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")


def _turns(begin: str, role_end: str, end: str, after: str) -> str:
    """Return the template of a format that names the role in the first token of a turn."""
    head = f"{{{{ '{begin}' + message['role'] + '{role_end}' }}}}"
    tail = f"{{{{ '{after}' }}}}" if after else ""
    return (
        "{% for message in messages %}"
        f"{head}"
        "{% if message['role'] == 'assistant' %}"
        f"{{% generation %}}{{{{ message['content'] + '{end}' }}}}{{% endgeneration %}}"
        "{% else %}"
        f"{{{{ message['content'] + '{end}' }}}}"
        "{% endif %}"
        f"{tail}"
        "{% endfor %}"
        f"{{% if add_generation_prompt %}}{{{{ '{begin}assistant{role_end}' }}}}{{% endif %}}"
    )


_RECIPE: Recipe = {
    "learning_rate": 5e-6,
    "num_train_epochs": 1,
    "warmup_ratio": 0.2,
    "lr_scheduler_type": "cosine",
}
# The script began as a full fine-tune and later became one with LoRA, with the same settings.
_SOURCES = dict.fromkeys(
    _RECIPE,
    "Microsoft's sample, https://huggingface.co/microsoft/Phi-3-mini-4k-instruct/blob/main/"
    "sample_finetune.py",
)

PHI3 = ModelFamily(
    name="phi3",
    title="Phi 3",
    model_types=("phi3",),
    chat_template=_turns("<|", "|>\n", "<|end|>", "\n"),
    end_of_turn="<|end|>",
    pad_tokens=("<|placeholder6|>", "<|endoftext|>"),
    stop_tokens=("<|endoftext|>",),
    lora_targets=_LINEAR,
    defaults=_RECIPE,
    default_sources=_SOURCES,
    lora_defaults=_RECIPE,
    lora_default_sources=_SOURCES,
)

PHI4_MINI = ModelFamily(
    name="phi4-mini",
    title="Phi 4 mini",
    model_types=("phi3",),
    name_hints=("phi-4-mini",),
    chat_template=_turns("<|", "|>", "<|end|>", ""),
    end_of_turn="<|end|>",
    pad_tokens=("<|endoftext|>",),
    stop_tokens=("<|endoftext|>",),
    lora_targets=_LINEAR,
)

PHI4 = ModelFamily(
    name="phi4",
    title="Phi 4",
    model_types=("phi3",),
    name_hints=("phi-4",),
    chat_template=_turns("<|im_start|>", "<|im_sep|>", "<|im_end|>", ""),
    end_of_turn="<|im_end|>",
    pad_tokens=("<|dummy_85|>", "<|dummy_87|>", "<|endoftext|>"),
    stop_tokens=("<|endoftext|>",),
    lora_targets=_LINEAR,
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the three families."""
    return [PHI3, PHI4_MINI, PHI4]
