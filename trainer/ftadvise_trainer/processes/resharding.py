"""A checkpoint of one way to spread a model, for a run that spreads it another way.

Both ways write whole tensors, under other names: transformers keeps the optimizer of one process
or of DDP in `optimizer.pt`, by the places of the parameters, and that of FSDP in `optimizer.bin`,
by their names; and for FSDP it wants the weights in `pytorch_model_fsdp.bin` besides. So a copy
with the other names is made beside the checkpoint, of hard links but for those files, and goes when
the run has made its first step from it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from ftadvise_trainer.processes.sharded import with_tied
from ftadvise_trainer.saving.averaging import mean_weights
from ftadvise_trainer.saving.durable import remove_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLACE = ".resume-"
"""Prefix of the copy, before the name of the checkpoint."""

_PLAIN, _SHARDED, _WEIGHTS = "optimizer.pt", "optimizer.bin", "pytorch_model_fsdp.bin"
_OTHERWISE = (_PLAIN, _SHARDED, _WEIGHTS, "MANIFEST.json")


def for_resume(trainer: Any, checkpoint: Path | None) -> Path | None:
    """Return the folder to go on from: the checkpoint, or a copy as this way to spread needs it.

    All processes have to call this, before the training.

    Args:
        trainer: The `transformers.Trainer` that will go on.
        checkpoint: A valid checkpoint; None at the beginning of a run.
    """
    if checkpoint is None:
        return None
    sharded = bool(trainer.is_fsdp_enabled)
    if sharded == (checkpoint / _WEIGHTS).exists():
        return checkpoint
    place = checkpoint.with_name(PLACE + checkpoint.name)
    if trainer.is_world_process_zero():
        drop(checkpoint.parent)
        _copy(checkpoint, place)
        names = _names(trainer)
        state = _read(checkpoint, sharded)
        if sharded:
            weights = with_tied(trainer.model, mean_weights([checkpoint]))
            torch.save(weights, place / _WEIGHTS)
            torch.save(by_name(state, names), place / _SHARDED)
        else:
            torch.save(by_place(state, names), place / _PLAIN)
    trainer.accelerator.wait_for_everyone()
    trainer.add_callback(Dropped(checkpoint.parent))
    return place


class Dropped(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Deletes the copy once a step has been made from it, when all processes have read it."""

    def __init__(self, output_dir: Path) -> None:
        """Delete in `output_dir`."""
        self.output_dir = output_dir

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Delete it."""
        if state.is_world_process_zero:
            drop(self.output_dir)


def drop(output_dir: Path) -> None:
    """Delete such copies in `output_dir`, also those that a killed run has left."""
    for place in list(output_dir.glob(f"{PLACE}checkpoint-*")):
        if place.is_dir() and not place.is_symlink():
            remove_folder(place)


def by_name(state: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the state of an optimizer with the names of the parameters for their places."""
    return {
        "state": {names[int(place)]: one for place, one in state["state"].items()},
        "param_groups": [
            {**group, "params": [names[int(place)] for place in group["params"]]}
            for group in state["param_groups"]
        ],
    }


def by_place(state: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the state of an optimizer with the places of the parameters for their names."""
    places = {name: place for place, name in enumerate(names)}
    groups = [
        {**group, "params": sorted(places[name] for name in group["params"])}
        for group in state["param_groups"]
    ]
    return {
        "state": {places[name]: one for name, one in state["state"].items()},
        "param_groups": sorted(groups, key=lambda group: group["params"][:1]),
    }


def _names(trainer: Any) -> list[str]:
    """Return the names of the parameters in the order in which the optimizer has them."""
    trainer.create_optimizer()  # that of the training, which keeps it
    known = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    return [known[id(p)] for group in trainer.optimizer.param_groups for p in group["params"]]


def _read(checkpoint: Path, sharded: bool) -> dict[str, Any]:
    path = checkpoint / (_PLAIN if sharded else _SHARDED)
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _copy(checkpoint: Path, place: Path) -> None:
    place.mkdir()
    for path in checkpoint.iterdir():
        if not path.is_file() or path.name in _OTHERWISE:
            continue
        with contextlib.suppress(OSError):
            os.link(path, place / path.name)
            continue
        shutil.copyfile(path, place / path.name)
