"""SmolLM 1, 2 and 3: ChatML on Llama's architecture."""

from __future__ import annotations

import ftadvise
from ftadvise.families import ModelFamily, Recipe
from ftadvise.templates import CHATML

_RECIPE: Recipe = {
    "learning_rate": 3e-4,
    "num_train_epochs": 2,
    "warmup_ratio": 0.1,
    "lr_scheduler_type": "cosine",
}
_SOURCE = (
    "SmolLM2-1.7B's SFT, https://github.com/huggingface/alignment-handbook/blob/main/"
    "recipes/smollm2/sft/config.yaml"
)

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
    defaults=_RECIPE,
    default_sources=dict.fromkeys(_RECIPE, _SOURCE),
)


@ftadvise.hookimpl
def register_model_families() -> list[ModelFamily]:
    """Give ftadvise the family."""
    return [SMOLLM]
