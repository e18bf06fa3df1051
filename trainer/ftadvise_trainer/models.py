"""Loads the model that is fine-tuned: precision, random weights, LoRA, what ends generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftadvise_trainer import families as rooms
from ftadvise_trainer.bf16 import weight_types
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.lora import with_lora
from ftadvise_trainer.remote_code import allowed, asked_for
from ftadvise_trainer.settings import recipes
from ftadvise_trainer.tokenizers import (
    ADDED_PAD,
    first_line,
    load_tokenizer,
    located,
    raw_tokenizer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.families import ModelFamily
    from ftadvise_trainer.config import Config

__all__ = ["family_of", "load_model", "load_tokenizer", "notes"]

DTYPES = ("float32", "bfloat16")


def family_of(
    config: Config,
    families: Sequence[ModelFamily] | None = None,
    *,
    remote_code: str | None = None,
) -> ModelFamily:
    """Return the model's family: the one that `model.family` names, else the one that fits best.

    Args:
        config: The run's settings.
        families: Those to choose from; all that are installed when left out.
        remote_code: As in `allowed`.

    Raises:
        TrainError: FT501, nothing could be loaded or no family has that name.
    """
    known = rooms.known() if families is None else families
    if config.model.family:
        return rooms.named(config.model.family, known)
    model = model_config(config, remote_code)
    name = config.model.name_or_path or config.model.config or ""
    tokenizer = raw_tokenizer(config, remote_code)
    return rooms.choose(str(model.model_type), name, tokenizer, known)


def model_config(config: Config, remote_code: str | None = None) -> Any:
    """Return the model's `config.json` as transformers understands it, or raise `TrainError`."""
    from transformers import AutoConfig

    auto: Any = AutoConfig
    name = config.model.config or config.model.name_or_path
    if not name:
        raise TrainError(
            "no model is named",
            hint="model.name_or_path names one, or model.config a config.json for random weights.",
        )
    key = "model.config" if config.model.config else "model.name_or_path"
    here = str(config.find(name).absolute()) if key == "model.config" else name
    place = located(config, here, key)
    try:
        return auto.from_pretrained(place, **allowed(config, remote_code))
    except (OSError, ValueError, KeyError) as error:
        raise asked_for(error, name) or TrainError(
            f"no model could be loaded from {name!r}: {first_line(error)}",
            hint="A folder needs a config.json; a name has to exist on the hub or in its cache.",
        ) from error


def load_model(
    config: Config, tokenizer: Any, family: ModelFamily, *, remote_code: str | None = None
) -> Any:
    """Return the model, ready for the trainer.

    The weights are float32 unless `model.dtype` says otherwise: in bfloat16 small updates need an
    optimizer that keeps them (`optimizers.py`). They come from safetensors only, and with `model.config` from the seed.

    Args:
        config: The run's settings.
        tokenizer: As `load_tokenizer` gives it.
        family: As `family_of` gives it.
        remote_code: As in `allowed`.

    Raises:
        TrainError: FT501, it cannot be loaded; FT509, peft is missing.
    """
    from torch import random

    draws: Any = random
    if config.model.dtype not in DTYPES:
        raise TrainError(
            f"model.dtype: {config.model.dtype!r} is not one of {', '.join(DTYPES)}",
            hint="These are the master weights; the arithmetic is training.bf16.",
        )
    # The draws for new weights leave the caller's stream of random numbers as it was.
    with draws.fork_rng():
        draws.manual_seed(config.training.seed)
        model = _random(config) if config.model.config else _pretrained(config, remote_code)
        new = _grow(model, len(tokenizer))
        set_endings(model, tokenizer, family)
        return with_lora(model, config.lora, family, new) if config.lora else model


def _random(config: Config) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    settings: Any = model_config(config)
    settings.dtype = None  # what the config says was the type of weights that are not there
    try:
        return auto.from_config(
            settings, dtype=getattr(torch, config.model.dtype), **_attention(config)
        )
    except (ValueError, ImportError) as error:
        raise TrainError(f"{config.model.config}: {first_line(error)}") from error


def _pretrained(config: Config, remote_code: str | None) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    name = config.model.name_or_path
    place = located(config, name, "model.name_or_path")
    try:
        return auto.from_pretrained(
            place,
            dtype=getattr(torch, config.model.dtype),
            use_safetensors=True,
            **_attention(config),
            **allowed(config, remote_code),
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise asked_for(error, name) or TrainError(
            f"the model {name!r} could not be loaded: {first_line(error)}",
            hint="It has to be a causal language model with weights in safetensors; "
            "pickled weights (.bin, .pt) are never read.",
        ) from error


def _attention(config: Config) -> dict[str, Any]:
    chosen = config.model.attn_implementation
    return {"attn_implementation": chosen} if chosen else {}


def _grow(model: Any, size: int) -> range:
    """Give new tokens the mean of the others: no draw, and nothing that generation would favour.

    Returns:
        Their ids.
    """
    import torch

    before: int = model.get_input_embeddings().num_embeddings
    if size <= before:
        return range(0)
    model.resize_token_embeddings(size, mean_resizing=False)
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for table in tables:
            if table is not None and table.weight.shape[0] == size:
                table.weight[before:] = table.weight[:before].mean(dim=0, keepdim=True)
    return range(before, size)


def set_endings(model: Any, tokenizer: Any, family: ModelFamily) -> None:
    """Let generation stop at the end of turn and at the family's other stop tokens."""
    vocabulary = tokenizer.get_vocab()
    stops: list[int] = [tokenizer.eos_token_id]
    stops += [vocabulary[token] for token in family.stop_tokens if token in vocabulary]
    generation = model.generation_config
    before = generation.eos_token_id
    stops += before if isinstance(before, list) else [before] if before is not None else []
    # Where a config says nothing transformers fills in an id that may be any ordinary word here.
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    generation.eos_token_id = [token for token in dict.fromkeys(stops) if token in special]
    for settings in (model.config, generation):
        settings.pad_token_id = tokenizer.pad_token_id
        if tokenizer.bos_token_id is not None:
            settings.bos_token_id = tokenizer.bos_token_id
    model.config.eos_token_id = tokenizer.eos_token_id


def notes(
    config: Config, tokenizer: Any, family: ModelFamily, *, widened: bool = False
) -> list[str]:
    """Return what somebody who starts this run should be told about its model.

    Args:
        config: The run's settings.
        tokenizer: As `load_tokenizer` gives it.
        family: As `family_of` gives it.
        widened: Whether bfloat16 weights become float32 (`spread.widened`).
    """
    said = [f"model family {family.name}"]
    said += [f"left out, so taken from the family: {line}" for line in recipes.lines(config)]
    if config.model.config:
        said.append(f"random weights from {config.model.config}, seed {config.training.seed}")
    said.append(weight_types.held(config, widened=widened))
    said.append(f"answers end with {tokenizer.eos_token}, padding is {tokenizer.pad_token}")
    if tokenizer.pad_token == ADDED_PAD:
        said.append(f"{ADDED_PAD} was added, for the vocabulary had nothing to pad with")
    if config.lora:
        said.append(f"LoRA of rank {config.lora.r} instead of a full fine-tune")
        if config.model.config and not config.lora.merge:
            said.append("the adapter fits these random weights alone; lora.merge keeps both")
    return said
