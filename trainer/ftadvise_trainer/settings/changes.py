"""What was changed in the settings since a checkpoint, and what of it a resume takes over.

Never silently ignored: a change is applied, or the resume is refused until it is allowed by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError

APPLIED: dict[str, str] = {
    "path": "where the settings were read from",
    "training.output_dir": "the folder may have been moved",
    "training.eval_strategy": "how often to evaluate does not touch the weights",
    "training.eval_steps": "how often to evaluate does not touch the weights",
    "training.save_strategy": "how often to save does not touch the weights",
    "training.save_steps": "how often to save does not touch the weights",
    "training.save_total_limit": "how many checkpoints are kept does not touch the weights",
    "training.load_best_model_at_end": "which checkpoint becomes final is chosen at the end",
    "training.average_checkpoints": "which weights become final is chosen at the end",
    "training.early_stopping_patience": "stopping is computed anew from the whole history",
    "training.early_stopping_threshold": "stopping is computed anew from the whole history",
    "training.stop_when_eval_rises_while_train_falls": "computed anew from the whole history",
    "training.logging_steps": "how often to log does not touch the weights",
    "training.report_to": "loggers do not touch the weights",
    "training.per_device_eval_batch_size": "the eval loss does not depend on it",
    "training.packing": "how examples are laid out does not change the loss",
    "training.row_tokens": "how examples are laid out does not change the loss",
    "training.fused_loss": "the loss is the same, computed in pieces or at once",
    "training.compile_blocks": "the arithmetic is the same, compiled or not",
    "training.sharding": "checkpoints hold whole tensors, however the model was spread",
    # Keys of `TrainingArguments` stand among the others in a manifest.
    "training.activation_checkpointing": "the arithmetic is the same, done twice",
    "training.gradient_checkpointing": "the arithmetic is the same, done twice",
    "training.dataloader_num_workers": "the order of the examples does not depend on it",
    "training.dataloader_persistent_workers": "the examples do not depend on it",
    "training.dataloader_pin_memory": "the examples do not depend on it",
    "training.dataloader_prefetch_factor": "the examples do not depend on it",
    "training.ddp_timeout": "how long processes wait for each other does not touch the weights",
    "training.run_name": "a name for loggers",
    "template_day": "the data are compared as tokens",
    "lora.merge": "whether the adapter is merged is decided at the end",
}
"""Settings that may change on resume and are taken over, and why."""

REFUSED: dict[str, str] = {
    "training.learning_rate": "the checkpoint's schedule would go on with the old rate",
    "training.num_train_epochs": "another horizon is another schedule: the rate would jump",
    "training.lr_scheduler_type": "the rate would jump from one curve to another",
    "training.warmup_ratio": "the rate would jump from one curve to another",
    "training.weight_decay": "the optimizer's state holds the old value",
    "training.max_grad_norm": "the steps so far were clipped otherwise",
    "training.per_device_train_batch_size": "the position in the data is counted in batches",
    "training.gradient_accumulation_steps": "the position in the data is counted in batches",
    "training.batch_size": "the position in the data is counted in batches",
    "training.bf16_updates": "the optimizer's state is of another kind",
    "training.seed": "the order of the examples would change, so that some are seen twice",
    "training.bf16": "losses before and after could not be compared",
    "training.metric_for_best_model": "the best so far was chosen by another measure",
    "world_size": "the batch and the position in the data depend on it",
    "data": "other data: the position in it and the losses so far would mean nothing",
    "data_fingerprint": "other data: the position in it and the losses so far would mean nothing",
    "eval_fingerprint": "the best so far was chosen on other data",
    "model": "the weights of the checkpoint are of another model",
    "lora": "the weights of the checkpoint belong to another adapter",
}
"""Settings, or whole sections, whose change is refused unless allowed, and why."""

_BATCH_SIZE = "training.batch_size"
_COUNTED_IN_EXAMPLES = (
    "world_size",
    "training.per_device_train_batch_size",
    "training.gradient_accumulation_steps",
)
"""What the steps depend on no more when both runs have the same `training.batch_size`."""

_UNKNOWN = "not known to be harmless"
_MISSING = "(not set)"


@dataclass(frozen=True)
class Change:
    """One setting that is not what it was when the checkpoint was saved."""

    key: str
    old: Any
    new: Any
    applied: bool
    reason: str

    def __str__(self) -> str:
        """Return one line for people."""
        verdict = "applied" if self.applied else "refused"
        arrow = f"{clean(self.old, 60)} -> {clean(self.new, 60)}"
        return f"{clean(self.key, 80)}: {arrow} ({verdict}: {self.reason})"


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return what differs between two settings, by dotted key, and whether a resume applies it.

    Tuples equal lists and 1 equals 1.0, because `old` has been through JSON.
    """
    before, after = _flat(old), _flat(new)
    by_examples = before.get(_BATCH_SIZE) is not None and before.get(_BATCH_SIZE) == after.get(
        _BATCH_SIZE
    )
    changes: list[Change] = []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key, _MISSING), after.get(key, _MISSING)
        if was == now or (was == _MISSING and now is None):  # a setting that was not there yet
            continue
        applied, reason = verdict(key)
        if by_examples and key in _COUNTED_IN_EXAMPLES:
            applied, reason = True, "training.batch_size is the same, on any number of processes"
        changes.append(Change(key, was, now, applied, reason))
    return changes


def verdict(key: str) -> tuple[bool, str]:
    """Return whether a change of `key` is applied on resume, and why or why not."""
    if key in APPLIED:
        return True, APPLIED[key]
    return False, REFUSED.get(key) or REFUSED.get(key.partition(".")[0]) or _UNKNOWN


def check(changes: Collection[Change], allowed: Collection[str] = ()) -> None:
    """Refuse a resume under changed settings, unless each of those changes is allowed by its key.

    Raises:
        TrainError: FT506, naming every one.
    """
    refused = [c for c in changes if not c.applied and c.key not in allowed]
    if refused:
        raise TrainError(
            "Settings have changed since the checkpoint: " + "; ".join(str(c) for c in refused),
            hint="Set them back, choose another training.output_dir for a new run, or allow: "
            + ", ".join(clean(c.key, 80) for c in refused),
            code="FT506",
        )


def apply_cadence(args: Any, state: Any) -> None:
    """Let a resumed run log, evaluate and save as often as `args` says now.

    transformers takes these from the checkpoint's `trainer_state.json`. To be called in
    `on_train_begin`, when the state has been loaded.

    Args:
        args: `TrainingArguments`.
        state: `TrainerState`; changed in place.
    """
    state.compute_steps(args, state.max_steps)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(cast("Mapping[str, Any]", value), f"{name}.")
        elif isinstance(value, (list, tuple)):
            flat[name] = list(cast("list[Any]", value))
        else:
            flat[name] = value
    return flat
