"""Among how many processes a model is cut, and what that does to its weights and checkpoints."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise_trainer.processes import sharding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftadvise_trainer.config import Config


@dataclass(frozen=True)
class Spread:
    """How many processes train together, and what each of them holds.

    Attributes:
        processes: All of them.
        parts: Into how many parts weights, gradients and optimizer are cut; 1 where each process
            holds all of them. With `hsdp` those of one host.
        cut: Whether FSDP holds the model, in one part or more.
        note: How the model is spread, in words; empty for one process.
    """

    processes: int = 1
    parts: int = 1
    cut: bool = False
    note: str = ""


def spread_of(config: Config, environment: Mapping[str, str] = os.environ) -> Spread:
    """Return how a run is spread.

    Args:
        config: The settings.
        environment: What torchrun sets is looked for here.

    Raises:
        TrainError: As `sharding.chosen`.
    """
    processes = int(environment.get("WORLD_SIZE", "1"))
    found = sharding.chosen(config, environment)
    if processes == 1:
        return Spread()
    if found.kind == "hsdp":
        return Spread(processes, int(environment["LOCAL_WORLD_SIZE"]), True, found.note)
    cut = found.kind == "fsdp" or bool(config.training.more.get("fsdp"))
    return Spread(processes, processes if cut else 1, cut, found.note)


def launched(nproc: int, nnodes: int = 1) -> dict[str, str]:
    """Return what torchrun would set for so many processes on each of so many hosts."""
    return {
        "WORLD_SIZE": str(nproc * nnodes),
        "GROUP_WORLD_SIZE": str(nnodes),
        "LOCAL_WORLD_SIZE": str(nproc),
    }


def parts_of(arguments: object, processes: int) -> int:
    """Return into how many parts `TrainingArguments` with `fsdp` cut a model."""
    mesh = getattr(arguments, "parallelism_config", None)
    within = getattr(mesh, "dp_shard_size", None)
    return int(within) if within else processes


def widened(config: Config, cut: bool, autocast: bool) -> bool:
    """Return whether bfloat16 weights are trained as float32.

    accelerate turns them into float32 before FSDP2 cuts them, wherever the computation is in bf16
    by its own means (`fsdp2_prepare_model`, accelerate 1.15).
    """
    return cut and autocast and config.model.dtype == "bfloat16"
