"""LoRA: which layers it adapts, and the rows of tokens that were added to the vocabulary."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.families import ModelFamily
    from ftadvise_trainer.config import LoraSettings


def with_lora(
    model: Any, lora: LoraSettings, family: ModelFamily, new_tokens: Sequence[int] = ()
) -> Any:
    """Return the model with an adapter, whose weights alone are trained and saved.

    Rows of new tokens are part of the adapter: the model that it is put on again does not have
    them, and every one of them counts in the softmax. They are saved as they stand, not as a
    difference, so that it does not matter how that model is made to grow.

    Args:
        model: The model; changed in place.
        lora: The settings.
        family: Its layers are adapted when the settings name none.
        new_tokens: Ids of tokens that the model had no rows for.

    Raises:
        TrainError: FT501, there is no such layer; FT509, peft is missing.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise TrainError(
            "LoRA needs peft, which is not installed",
            code="FT509",
            hint="pip install 'ftadvise[train]', or leave out lora: for a full fine-tune.",
        ) from error
    from transformers.pytorch_utils import Conv1D

    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if type(module).__name__ == "Linear" or isinstance(module, Conv1D)
    }
    wanted = lora.target_modules
    missing = [name for name in wanted if name.rpartition(".")[2] not in linear]
    if missing:
        raise TrainError(
            f"lora.target_modules: the model has no linear layer called {', '.join(missing)}",
            hint=f"It has {', '.join(sorted(linear))}.",
        )
    targets = list(wanted) or [name for name in family.lora_targets if name in linear]
    tables = [name for name in _tables(model) if name not in targets]
    settings = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft says int and takes any number
        lora_dropout=lora.dropout,
        target_modules=targets or "all-linear",
        task_type="CAUSAL_LM",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        trainable_token_indices={name: list(new_tokens) for name in tables}
        if new_tokens
        else None,
    )
    with warnings.catch_warnings():
        # peft asks for a name that transformers is giving up; nobody here can do anything about it.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return get_peft_model(model, settings)


def _tables(model: Any) -> list[str]:
    """Return the names of the input embeddings, and of the output where it has rows of its own."""
    tables = [model.get_input_embeddings()]
    output = model.get_output_embeddings()
    if output is not None and output.weight is not tables[0].weight:  # peft follows tied ones
        tables.append(output)
    return [
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if any(module is table for table in tables)
    ]
