"""Checks that look at the values of a training YAML: ranges, choices, files, and one key against another."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.processes.rank import world_size
from ftadvise_trainer.settings.keys import AUTO_SCHEDULE
from ftadvise_trainer.settings.mistakes import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ftadvise_trainer.config import Config

_Keys = dict[str, tuple[str, ...]]
# Where each problem belongs: section and key, and what is wrong.
Problem = tuple[str, str, str]

_CHOICES = {
    ("model", "dtype"): ("float32", "bfloat16"),
    ("data", "format"): ("auto", "alpaca", "messages", "sharegpt", "prompt_completion", "text"),
    ("data", "loss_on"): ("answers", "all"),
    ("training", "eval_strategy"): ("epoch", "steps", "no"),
    ("training", "save_strategy"): ("epoch", "steps"),
    ("training", "bf16_updates"): ("stochastic", "kahan", "nearest"),
    ("training", "sharding"): ("auto", "ddp", "fsdp", "hsdp"),
}
_AT_LEAST_1: _Keys = {
    "data": ("max_length",),
    "lora": ("r",),
    "training": (
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "gradient_accumulation_steps",
        "batch_size",
        "row_tokens",
        "eval_steps",
        "save_steps",
        "save_total_limit",
        "early_stopping_patience",
        "stop_when_eval_rises_while_train_falls",
        "logging_steps",
    ),
}
_ABOVE_0: _Keys = {"lora": ("alpha",), "training": ("num_train_epochs", "learning_rate")}
_AT_LEAST_0: _Keys = {
    "training": ("weight_decay", "max_grad_norm", "early_stopping_threshold", "seed")
}
_SHARES: _Keys = {"data": ("eval_share",), "lora": ("dropout",), "training": ("warmup_ratio",)}
_LARGEST_SEED = 2**32 - 1  # numpy takes no more

# Why a value that transformers knows is not taken here.
_NOT_TAKEN = {
    (
        "save_strategy",
        "best",
    ): "keeps no newest checkpoint to resume from; the best are kept anyway",
    ("save_strategy", "no"): "leaves nothing to resume from, and no best model to keep",
}
_SCHEDULERS = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "reduce_lr_on_plateau",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "warmup_stable_decay",
    "greedy",
)
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def problems(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with values that are all of the right type, defaults included."""
    yield from _ranges(config)
    yield from _choices(config)
    yield from _batches(config)
    yield from _evaluation(config)
    yield from _stopping(config)
    yield from _auto_schedule(config)
    yield from _sources(config)


def _ranges(config: Config) -> Iterator[Problem]:
    rules: tuple[tuple[_Keys, Callable[[Any], bool], str], ...] = (
        (_AT_LEAST_1, lambda x: x >= 1, "at least 1"),
        (_ABOVE_0, lambda x: x > 0, "above 0"),
        (_AT_LEAST_0, lambda x: x >= 0, "at least 0"),
        (_SHARES, lambda x: 0 <= x < 1, "at least 0 and below 1"),
    )
    for keys, holds, words in rules:
        for section, names in keys.items():
            for name in names:
                value = getattr(getattr(config, section), name, None)
                if value is not None and not holds(value):
                    yield section, name, f"must be {words}, but is {value}"
    if config.training.seed > _LARGEST_SEED:
        yield "training", "seed", f"must be at most {_LARGEST_SEED}, but is {config.training.seed}"


def _choices(config: Config) -> Iterator[Problem]:
    for (section, name), choices in _CHOICES.items():
        value = getattr(getattr(config, section), name)
        if value is None or value in choices:
            continue
        reason = _NOT_TAKEN.get((name, value))
        if reason:
            yield section, name, f"{value} is not supported: it {reason}"
        else:
            yield section, name, _none_of(value, choices)
    scheduler = config.training.lr_scheduler_type
    if scheduler not in (AUTO_SCHEDULE, *_SCHEDULERS) and scheduler not in _schedulers():
        choices = (AUTO_SCHEDULE, *_schedulers())
        yield "training", "lr_scheduler_type", _none_of(scheduler, choices)
    metric = config.training.metric_for_best_model
    if metric != "eval_loss":
        message = (
            f"must be eval_loss, the only one that is supported, but is {clean(metric, 60)!r}"
        )
        yield "training", "metric_for_best_model", message


def _none_of(value: str, choices: tuple[str, ...]) -> str:
    meant = did_you_mean(value, choices)
    return f"must be one of {', '.join(choices)}, but is {clean(value, 60)!r}{meant}"


@cache
def _schedulers() -> tuple[str, ...]:
    """Return the schedules of the installed transformers, which may have more than we know of."""
    from transformers import SchedulerType

    return tuple(str(member.value) for member in SchedulerType)


def _batches(config: Config) -> Iterator[Problem]:
    training = config.training
    if training.row_tokens is not None and training.packing is False:
        yield "training", "row_tokens", "is given, but packing is false; leave one of them out"
    if training.batch_size is None:
        return
    if training.gradient_accumulation_steps != 1:
        message = "is given besides batch_size, which says how many examples a step has"
        yield "training", "gradient_accumulation_steps", f"{message}; leave one of them out"
    processes = world_size()
    if 1 <= training.batch_size < processes:
        message = f"must be at least the number of processes ({processes}), but is"
        yield "training", "batch_size", f"{message} {training.batch_size}"
    strategy = training.more.get("train_sampling_strategy", "random")
    if strategy not in ("random", "sequential"):
        message = f"{clean(strategy, 40)} does not go with batch_size; leave one of them out"
        yield "training", "train_sampling_strategy", message


def _evaluation(config: Config) -> Iterator[Problem]:
    training = config.training
    for kind in ("eval", "save"):
        strategy = getattr(training, f"{kind}_strategy")
        steps = getattr(training, f"{kind}_steps")
        if strategy != "steps" and steps is not None:
            message = f"is given, but {kind}_strategy is {strategy}; leave one of them out"
            yield "training", f"{kind}_steps", message
        # Without save_steps, it is eval_steps that is missing when both go by steps.
        elif strategy == "steps" and steps is None and not _follows(config, kind):
            message = f"is missing: {kind}_strategy is steps, but not after how many"
            yield "training", f"{kind}_steps", message
    every, save = training.eval_steps or 0, training.save_steps or 0
    if every >= 1 and save >= 1 and save % every and every % save:
        message = f"must be a multiple or a divisor of eval_steps ({every}), but is {save}"
        yield "training", "save_steps", message
    if training.eval_strategy != "no" and config.data.eval is None and config.data.eval_share == 0:
        message = "is 0 and data.eval is not given, so there is nothing to evaluate on"
        yield "data", "eval_share", message
    if training.warmup_ratio > 0 and "warmup_steps" in training.more:
        yield "training", "warmup_steps", "is given besides warmup_ratio; leave one of them out"


def _follows(config: Config, kind: str) -> bool:
    return kind == "save" and config.training.eval_strategy == "steps"


def _stopping(config: Config) -> Iterator[Problem]:
    training = config.training
    if training.eval_strategy == "no":
        for name in ("early_stopping_patience", "stop_when_eval_rises_while_train_falls"):
            if getattr(training, name) is not None:
                yield "training", name, "needs evaluations, but eval_strategy is no"
        if training.load_best_model_at_end:
            message = "needs evaluations, but eval_strategy is no"
            yield "training", "load_best_model_at_end", message
    if training.average_checkpoints and not training.load_best_model_at_end:
        message = "takes the mean of the best checkpoints, but load_best_model_at_end is false"
        yield "training", "average_checkpoints", f"{message}; leave one of them out"
    if training.early_stopping_threshold > 0 and training.early_stopping_patience is None:
        message = "is missing; early_stopping_threshold does nothing without it"
        yield "training", "early_stopping_patience", message


def _auto_schedule(config: Config) -> Iterator[Problem]:
    training = config.training
    if training.lr_scheduler_type != AUTO_SCHEDULE:
        return
    if training.eval_strategy == "no":
        yield "training", "lr_scheduler_type", "auto needs evaluations, but eval_strategy is no"
    for name in ("early_stopping_patience", "stop_when_eval_rises_while_train_falls"):
        if getattr(training, name) is not None:
            message = "would stop the run before its decay; lr_scheduler_type auto goes without it"
            yield "training", name, message
    given: Any = training.more.get("lr_scheduler_kwargs") or {}
    keys: set[Any] = set(given) if isinstance(given, dict) else {None}
    epochs: Any = given.get("decay_epochs", 1.0) if keys <= {"decay_epochs"} else None
    if type(epochs) not in (int, float) or not 0 < epochs < math.inf:
        message = "must be {decay_epochs: NUMBER} with a number above 0 for lr_scheduler_type auto"
        yield "training", "lr_scheduler_kwargs", message


def _sources(config: Config) -> Iterator[Problem]:
    """Yield what is named for reading and is not there."""
    model, data = config.model, config.data
    if not model.name_or_path and not model.config:
        message = "is missing: name a model, or model.config to start from random weights"
        yield "model", "name_or_path", message
    if model.name_or_path and model.config:
        message = "is given besides name_or_path; the one starts from weights, the other without"
        yield "model", "config", message
    if not data.train:
        yield "data", "train", "is missing: name the file or folder with the examples"
    named = (("data", "train", data.train), ("data", "eval", data.eval))
    for section, name, value in (*named, ("model", "config", model.config)):
        if value and (problem := _absent(config, value)):
            yield section, name, problem
    for name, value in (("name_or_path", model.name_or_path), ("tokenizer", model.tokenizer)):
        if value and not _HUB_NAME.fullmatch(value) and (problem := _absent(config, value)):
            yield "model", name, problem
    if data.eval == "":
        yield "data", "eval", "is empty: leave it out to hold out eval_share of the examples"


def _absent(config: Config, value: str) -> str | None:
    """Return what to say when there is nothing at a path, or None."""
    path = config.find(value)
    try:
        if path.exists():
            return None
        near = sorted(entry.name for entry in path.parent.iterdir())[:1000]
    except (OSError, ValueError):
        near = []
    return f"there is no {clean(path, 300)}{did_you_mean(path.name, near)}"
