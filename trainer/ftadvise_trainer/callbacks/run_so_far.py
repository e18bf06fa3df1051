"""A training in progress as a `Run`, and decisions that are the same on all processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import distributed

from ftadvise.run import Run, Settings
from ftadvise_trainer.callbacks.history import run_of


def run_so_far(args: Any, state: Any, metric: str = "eval_loss") -> Run:
    """Return what the log of a training tells, and how it is planned to go on.

    Args:
        args: Its `TrainingArguments`.
        state: Its `TrainerState`.
        metric: Name of the eval loss in the log.
    """
    per_epoch = steps_per_epoch(state)
    steps = float(state.max_steps) if state.max_steps > 0 else None
    epochs = steps / per_epoch if steps and per_epoch else None
    if args.max_steps <= 0:
        epochs = float(args.num_train_epochs)
    return replace(
        run_of(state.log_history, metric),
        planned_epochs=epochs,
        planned_steps=steps,
        settings=_settings(args, state, epochs),
    )


def steps_per_epoch(state: Any) -> float | None:
    """Return the optimizer steps in an epoch, or None before the first of them."""
    if not state.epoch or not state.global_step:
        return None
    return float(state.global_step) / float(state.epoch)


def decided_by_first(wanted: bool, args: Any, state: Any) -> bool:
    """Return what the first process wants; all processes have to ask.

    The log is the same on all of them, but not every machine computes the same last digit, and a
    Trainer of which one process stops hangs.
    """
    own = wanted and state.is_world_process_zero
    if not (distributed.is_available() and distributed.is_initialized()):
        return bool(own)
    flag = torch.tensor(int(own), device=args.device)
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag.item())


def _settings(args: Any, state: Any, epochs: float | None) -> Settings:
    # As strings they compare whatever version of transformers made them members of an enumeration.
    by_steps = {kind: _text(getattr(args, f"{kind}_strategy")) == "steps" for kind in _KINDS}
    every = {kind: float(getattr(state, f"{kind}_steps")) for kind in _KINDS if by_steps[kind]}
    return Settings(
        num_train_epochs=epochs,
        eval_steps=every.get("eval"),
        save_steps=every.get("save"),
        save_total_limit=args.save_total_limit,
        load_best_model_at_end=bool(args.load_best_model_at_end),
        lr_scheduler_type=_text(args.lr_scheduler_type),
    )


_KINDS = ("eval", "save")


def _text(member: Any) -> str:
    return str(getattr(member, "value", member))
