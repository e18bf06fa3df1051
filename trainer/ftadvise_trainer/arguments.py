"""Turns a `Config` into the `TrainingArguments` that ftadvise's promises need."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer import loggers
from ftadvise_trainer.bf16 import weight_types
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes import sharding
from ftadvise_trainer.processes.rank import world_size
from ftadvise_trainer.processes.spread import widened
from ftadvise_trainer.settings.keys import ALIASES, AUTO_SCHEDULE

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from ftadvise_trainer.config import Config

# What the promises hang on, whatever the YAML says; the reasons stand in `config_keys.RESERVED`.
_PROMISED: dict[str, Any] = {
    "average_tokens_across_devices": True,
    "dataloader_drop_last": False,
    "disable_tqdm": True,
    "eval_do_concat_batches": True,
    "greater_is_better": False,
    "include_num_input_tokens_seen": "no",  # FineTuner counts, without waiting for the device
    "load_best_model_at_end": False,  # BestK and `final` do it
    "logging_nan_inf_filter": False,
    "prediction_loss_only": True,
    "remove_unused_columns": False,
    "save_total_limit": None,  # BestK prunes, and never the best
}
# Likewise, but gone from, or not yet in, some versions of transformers, where it is so anyway.
_WHERE_THERE: dict[str, Any] = {
    "enable_jit_checkpoint": False,
    "restore_callback_states_from_checkpoint": False,
    "save_safetensors": True,
}
# Keys of ours that transformers has under the same name.
_SAME = (
    "num_train_epochs",
    "learning_rate",
    "lr_scheduler_type",
    "weight_decay",
    "max_grad_norm",
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "eval_strategy",
    "save_strategy",
    "logging_steps",
    "seed",
)


_OLDEST = (5, 17)
_UPGRADE = "ftadvise needs transformers 5.17 or later: pip install -U transformers"


@dataclasses.dataclass(frozen=True)
class Precision:
    """The precision that is trained in.

    Attributes:
        autocast: Whether the forward pass runs under bf16 autocast.
        note: The same in words, for the person who watches.
    """

    autocast: bool
    note: str


def precision(config: Config, *, cut: bool = False) -> Precision:
    """Decide on the precision: what the YAML says, else bf16 autocast where a GPU supports it.

    Args:
        config: The settings.
        cut: Whether FSDP holds the model; weights are then widened under autocast.
    """
    import torch

    wanted = config.training.bf16
    use_cpu = bool(config.training.more.get("use_cpu", False))
    cuda = torch.cuda.is_available() and not use_cpu
    # Without emulation: bf16 on a GPU that only pretends to have it is slower than float32.
    supported = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted and cuda and not supported:
        hint = "leave training.bf16 out, or set it to false"
        raise TrainError("training.bf16 is true, but this GPU does not support bf16", hint=hint)
    autocast = supported if wanted is None else wanted
    words = _autocast_words(autocast, wanted, cuda)
    wide = widened(config, cut, autocast)
    return Precision(autocast, f"{weight_types.updated(config, widened=wide)}, {words}")


def _autocast_words(autocast: bool, wanted: bool | None, cuda: bool) -> str:
    if autocast:
        return "bf16 autocast" + ("" if wanted is None else " as set")
    if wanted is False:
        return "no autocast, as set"
    return "no autocast: " + ("this GPU does not support bf16" if cuda else "no CUDA GPU is used")


def training_arguments(config: Config) -> TrainingArguments:
    """Return the arguments for `transformers.Trainer`.

    Raises:
        TrainError: If transformers or the machine does not take them.
    """
    from transformers import TrainingArguments

    from ftadvise_trainer.processes.sharded import keep_precision

    _check_version()
    sharding.check(config)
    known = {f.name for f in dataclasses.fields(TrainingArguments) if f.init}
    arguments = _arguments(config)
    for old, new in ALIASES.items():
        name, other = (new, old) if new in known else (old, new)
        if other in arguments:
            arguments[name] = arguments.pop(other)
    if absent := sorted(set(arguments) - known):
        message = f"the installed transformers does not know {', '.join(absent)}"
        raise TrainError(message, hint=_UPGRADE, code="FT509")
    arguments |= {key: value for key, value in _WHERE_THERE.items() if key in known}
    loggers.check(config.training.report_to)
    try:
        made = TrainingArguments(**arguments)
        keep_precision(made)
        return made
    except (ValueError, TypeError, ImportError, NotImplementedError) as error:
        message = f"transformers does not take these settings: {clean(error, 400)}"
        raise TrainError(message, code="FT501") from error


def _check_version() -> None:
    import transformers

    version = str(transformers.__version__)
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        message = f"transformers {clean(version, 40)} is too old for training"
        raise TrainError(message, hint=_UPGRADE, code="FT509")


def _arguments(config: Config) -> dict[str, Any]:
    import torch

    training = config.training
    arguments: dict[str, Any] = {name: getattr(training, name) for name in _SAME}
    for name in ("eval_steps", "save_steps"):
        if getattr(training, name) is not None:
            arguments[name] = getattr(training, name)
    if training.batch_size is not None:
        # What transformers counts with; the batches are FineTuner's.
        arguments["per_device_train_batch_size"] = math.ceil(training.batch_size / world_size())
        arguments["gradient_accumulation_steps"] = 1
    if torch.cuda.is_available() and training.more.get("dataloader_pin_memory", True):
        # A batch is copied while the device still computes the one before.
        arguments["accelerator_config"] = {"non_blocking": True}
    # A name that transformers does not know; FineTuner makes the schedule.
    if training.lr_scheduler_type == AUTO_SCHEDULE:
        arguments["lr_scheduler_type"] = "constant_with_warmup"
    arguments |= {
        "output_dir": os.fspath(config.output_dir),
        # Since transformers 5 a share below 1 is given in the same place as a number of steps.
        "warmup_steps": training.warmup_ratio,
        "metric_for_best_model": training.metric_for_best_model,
        "report_to": list(training.report_to) or "none",
        "data_seed": training.seed,
        "bf16": precision(config).autocast,
        "use_cpu": not torch.accelerator.is_available(),
    }
    return arguments | sharding.arguments(config) | training.more | _PROMISED
