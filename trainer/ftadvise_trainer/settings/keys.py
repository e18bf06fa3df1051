"""Which keys a training YAML may have, and what is said about those that it may not."""

from __future__ import annotations

import dataclasses
import typing
from functools import cache
from typing import Any

from ftadvise_trainer import config
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.settings.mistakes import did_you_mean

SECTIONS: dict[str, Any] = {
    "model": config.ModelConfig,
    "data": config.DataConfig,
    "training": config.TrainingConfig,
    "lora": config.LoraSettings,
}

_NO_HUB = (
    "nothing leaves this machine while it trains; afterwards: hf upload NAME checkpoints/final"
)
_LAUNCHER = "the launcher sets it; leave it out"
_LOSS_ONLY = "eval loss is the only metric, and logits are not kept"
_NOT_IN_A_FILE = (
    "code from a model repository is never run because a file says so; nothing in a YAML allows it, "
    "only --remote-code NAME@REVISION does"
)

# Arguments of transformers that a YAML may not set, because a promise of ftadvise hangs on them.
RESERVED = {
    "auto_find_batch_size": "it changes the effective batch without a word",
    "average_tokens_across_devices": "always on, so that the loss is the same on any number of GPUs",
    "batch_eval_metrics": _LOSS_ONLY,
    "bf16_full_eval": "eval loss is measured in the precision that is trained in",
    "dataloader_drop_last": "it drops examples from the evaluation too",
    "disable_tqdm": "ftadvise shows its own progress; --quiet hides it",
    "do_eval": "eval_strategy says so",
    "do_predict": "ftadvise trains and evaluates only",
    "do_train": "ftadvise trains whenever it is called",
    "enable_jit_checkpoint": "ftadvise saves on SIGTERM and SIGINT itself",
    "eval_do_concat_batches": _LOSS_ONLY,
    "fp16": "float16 overflows as part of how it works, and ftadvise stops on that; take bf16",
    "fp16_full_eval": "eval loss is measured in the precision that is trained in",
    "greater_is_better": "a smaller eval loss is better",
    "hub_always_push": _NO_HUB,
    "hub_model_id": _NO_HUB,
    "hub_private_repo": _NO_HUB,
    "hub_revision": _NO_HUB,
    "hub_strategy": _NO_HUB,
    "hub_token": _NO_HUB,
    "ignore_data_skip": "a resumed run sees the data that is left, and nothing twice",
    "include_for_metrics": _LOSS_ONLY,
    "label_names": "the labels are made by ftadvise",
    "length_column_name": "the lengths are known to ftadvise",
    "local_rank": _LAUNCHER,
    "include_num_input_tokens_seen": "always on: tokens and their speed stand in the metrics",
    "logging_nan_inf_filter": "always off: it would hide a loss of NaN",
    "prediction_loss_only": _LOSS_ONLY,
    "push_to_hub": _NO_HUB,
    "remove_unused_columns": "the columns are made by ftadvise",
    "restore_callback_states_from_checkpoint": "patience is counted anew from the logged losses",
    "resume_from_checkpoint": "a run resumes by itself; --no-resume starts over",
    "save_only_model": "a resume needs the state of the optimizer too",
    "save_safetensors": "always on: weights are never pickled",
}

# What people also write, and what it is called here.
RENAMED = {
    "checkpointing_steps": "save_steps",
    "cutoff_len": "max_length",
    "early_stopping_min_delta": "early_stopping_threshold",
    "epochs": "num_train_epochs",
    "eval_batch_size": "per_device_eval_batch_size",
    "eval_file": "eval",
    "evaluation_strategy": "eval_strategy",
    "global_batch_size": "batch_size",
    "gradient_clipping": "max_grad_norm",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "lora_r": "r",
    "lora_rank": "r",
    "lr": "learning_rate",
    "max_seq_length": "max_length",
    "max_seq_len": "max_length",
    "micro_batch_size": "per_device_train_batch_size",
    "min_delta": "early_stopping_threshold",
    "model_name": "name_or_path",
    "model_name_or_path": "name_or_path",
    "no_cuda": "use_cpu",
    "num_epochs": "num_train_epochs",
    "patience": "early_stopping_patience",
    "rank": "r",
    "scheduler": "lr_scheduler_type",
    "sequence_len": "max_length",
    "tokenizer_name": "tokenizer",
    "torch_dtype": "dtype",
    "train_batch_size": "per_device_train_batch_size",
    "train_file": "train",
    "warmup": "warmup_ratio",
}

AUTO_SCHEDULE = "auto"
"""A `lr_scheduler_type` of our own: hold the rate, and decay when the end is near."""

# Names that changed within the versions of transformers that we support.
ALIASES = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}


@cache
def own_types(section: str) -> dict[str, Any]:
    """Return the type of each of our own keys in a section."""
    hints = typing.get_type_hints(SECTIONS[section])
    return {
        f.name: hints[f.name] for f in dataclasses.fields(SECTIONS[section]) if f.name != "more"
    }


@cache
def argument_types() -> dict[str, Any]:
    """Return the type of each argument of the installed `transformers.TrainingArguments`.

    Loads transformers, which takes seconds: only asked for keys that are not our own.
    """
    try:
        from transformers import TrainingArguments
    except ImportError as error:
        hint = "pip install 'ftadvise[train]'"
        raise TrainError("training needs transformers", hint=hint, code="FT509") from error
    # By the annotations: `HfArgumentParser`, which TRL uses too, rewrites the types of the fields.
    hints = typing.get_type_hints(TrainingArguments)
    types = {f.name: hints[f.name] for f in dataclasses.fields(TrainingArguments) if f.init}
    for old, new in ALIASES.items():
        if old in types or new in types:
            types[old] = types[new] = types.get(new, types.get(old))
    return types


def why_not(section: str, key: str) -> str | None:
    """Return why a key cannot stand in a section, or None when `TrainingArguments` has it."""
    if key in ("trust_remote_code", "remote_code", "code_revision"):
        return _NOT_IN_A_FILE
    if section == "training" and key in RESERVED:
        return f"cannot be set: {RESERVED[key]}"
    if section == "training" and key in argument_types():
        return None
    name = RENAMED.get(key, key)
    for other in sorted(SECTIONS, key=lambda s: s != section):
        if name in own_types(other):
            return f"unknown; did you mean {other}.{name}?"
    if name in argument_types():
        return f"unknown; did you mean training.{name}?"
    known = set(own_types(section))
    if section == "training":
        known |= set(argument_types()) - set(RESERVED)
    return "unknown" + did_you_mean(key, known)
