"""How many tokens go through the model at a time when packing: as many as fit, and as are of use.

Everything here is a function of the settings, the model and the size of the device, so that a run
that is resumed lays its rows out as before. What comes out of a row does not depend on its size,
only speed and memory do; when an estimate was too bold, `smaller` rows of the same step follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from ftadvise_trainer.speed.memory import Memory, Shape, needed, shape_of_model

if TYPE_CHECKING:
    from ftadvise_trainer.config import Config

MOST = 65_536
"""Tokens of a row at most: a GPU has been busy for long before, and more costs memory alone."""
LEAST = 2048
"""Tokens of a row below which activation checkpointing pays: matrices of fewer rows are too thin."""
MULTIPLE = 128
"""Rows are multiples of it."""
ON_CPU = 2048
"""Tokens of a row on a CPU, which packing does not make faster: small, as memory is shared."""

_MARGIN = 0.10
"""Of the memory, left to the allocator's gaps, the libraries' work space and the estimate's error."""
_SHARDED = ("weights", "gradients", "adam", "autocast_copies")
_TAKEN = 0.15
"""Of the memory, taken by others: from here on what is free decides."""


@dataclass(frozen=True)
class Room:
    """What is known of a step before it is tried.

    Attributes:
        shape: Of the model.
        memory: Bytes that may be filled; None on a CPU.
        weight_bytes: Of a parameter: 4 for float32, 2 for bfloat16.
        autocast: Whether the forward pass runs under bf16 autocast.
        fused: Whether the loss is computed in pieces.
        processes: How many train together; where the model is cut, into how many parts.
        sharded: Whether they hold a part of the weights and of the optimizer each.
        kahan: Whether the optimizer keeps what rounding leaves over.
    """

    shape: Shape
    memory: int | None
    weight_bytes: int
    autocast: bool
    fused: bool
    processes: int = 1
    sharded: bool = False
    kahan: bool = False

    def needs(self, tokens: int, *, checkpointing: bool = False) -> Memory:
        """Return what a row of so many tokens needs on each process."""
        found = needed(
            self.shape,
            tokens,
            weight_bytes=self.weight_bytes,
            autocast=self.autocast,
            checkpointing=checkpointing,
            fused=self.fused,
            kahan=self.kahan,
        )
        if self.processes == 1:
            return found
        if not self.sharded:  # DDP: what is sent to the others lies in buffers of its own
            return replace(found, gradients=2 * found.gradients)
        parts = {name: -(-getattr(found, name) // self.processes) for name in _SHARDED}
        return replace(found, **parts)

    def fitting(self, *, checkpointing: bool = False) -> int:
        """Return how many tokens of a row fit, a multiple of `MULTIPLE`; 0 when none do."""
        if self.memory is None:
            return ON_CPU
        low, high = 0, MOST // MULTIPLE
        while low < high:  # memory grows with the tokens
            middle = (low + high + 1) // 2
            fit = self.needs(middle * MULTIPLE, checkpointing=checkpointing).total <= self.memory
            low, high = (middle, high) if fit else (low, middle - 1)
        return low * MULTIPLE

    def without_checkpointing(self, longest: int | None = None) -> str | None:
        """Return why activation checkpointing is needed, in one line; None where it is not."""
        wanted = max(longest or 0, LEAST)
        if self.memory is None or self.fitting() >= min(wanted, MOST):
            return None
        there, total = self.memory / 1e9, self.needs(wanted).total / 1e9
        return (
            f"activation checkpointing: a row of {wanted:,} tokens would need about {total:.0f} GB "
            f"without it, and there are {there:.0f} GB"
        )


def choose(
    config: Config,
    model: Any,
    device: torch.device | str,
    *,
    fused: bool | None = None,
    longest: int | None = None,
    checkpointing: bool = False,
    processes: int = 1,
    sharded: bool = False,
) -> int:
    """Return how many tokens a packed row has: `training.row_tokens`, or as many as fit.

    Args:
        config: The settings.
        model: As it is trained, with its adapter; it may still be on the CPU.
        device: Where it is trained.
        fused: Whether the loss is computed in pieces; None looks at the model's head.
        longest: Tokens of the longest example, which a row has at least.
        checkpointing: Whether activations are computed again.
        processes: How many train together.
        sharded: Whether they hold a part of the weights each.

    Returns:
        A multiple of 128 when it is chosen, at most 65,536 unless an example is longer.
    """
    if config.training.row_tokens is not None:
        return config.training.row_tokens
    shape, head = shape_of_model(model), _fused(model, fused)
    room = room_for(config, shape, torch.device(device), head, processes, sharded)
    return rows_in(room, longest, checkpointing=checkpointing)


def rows_in(room: Room, longest: int | None = None, *, checkpointing: bool = False) -> int:
    """Return how many tokens a row has in `room`, as `choose` does."""
    return _rounded_up(max(room.fitting(checkpointing=checkpointing), longest or 0, MULTIPLE))


def suggest_checkpointing(
    config: Config,
    model: Any,
    device: torch.device | str,
    *,
    fused: bool | None = None,
    longest: int | None = None,
    processes: int = 1,
    sharded: bool = False,
) -> str | None:
    """Return why activation checkpointing is needed, in one line, or None where it is not.

    It is when no row of the longest example, or of 2,048 tokens, fits without it. It makes a step
    about a quarter slower and does nothing else, so it is not used to make rows longer.

    Args:
        config: As for `choose`.
        model: As for `choose`.
        device: As for `choose`.
        fused: As for `choose`.
        longest: As for `choose`.
        processes: As for `choose`.
        sharded: As for `choose`.
    """
    shape, head = shape_of_model(model), _fused(model, fused)
    room = room_for(config, shape, torch.device(device), head, processes, sharded)
    return room.without_checkpointing(longest)


def room_for(
    config: Config,
    shape: Shape,
    device: torch.device,
    fused: bool,
    processes: int = 1,
    sharded: bool = False,
) -> Room:
    """Return the room that a model has on a device.

    Args:
        config: The settings.
        shape: Of the model.
        device: Where it is trained.
        fused: Whether the loss is computed in pieces.
        processes: How many train together.
        sharded: Whether they hold a part of the weights each.
    """
    from ftadvise_trainer.arguments import precision
    from ftadvise_trainer.bf16 import weight_types
    from ftadvise_trainer.processes.spread import widened
    from ftadvise_trainer.saving.preflight import BYTES

    autocast = precision(config).autocast
    wide = widened(config, sharded, autocast)
    return Room(
        shape=shape,
        memory=_memory(device),
        weight_bytes=BYTES["float32" if wide else config.model.dtype],
        autocast=autocast,
        fused=fused,
        processes=processes,
        sharded=sharded,
        kahan=weight_types.kahan(config) and not wide,
    )


def smaller(row_tokens: int, longest: int = 0) -> int | None:
    """Return the size of rows to try after one of `row_tokens` ran out of memory.

    Args:
        row_tokens: The size that did not fit.
        longest: Tokens of the longest example of the step: no row can be shorter.

    Returns:
        Half of it, a multiple of 128 and not below `longest`; None when that is no smaller.
    """
    half = max(_rounded_up(row_tokens // 2), _rounded_up(longest))
    return half if half < row_tokens else None


def _rounded_up(tokens: int) -> int:
    return -(-tokens // MULTIPLE) * MULTIPLE


def _memory(device: torch.device) -> int | None:
    """Return the bytes that may be filled, None where the device is no GPU."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device)  # the model itself, where it is there already
    taken = (total - free) / total > _TAKEN
    return int((free if taken else total) * (1.0 - _MARGIN))


def _fused(model: Any, said: bool | None) -> bool:
    if said is not None:
        return said
    return type(model.get_output_embeddings()).__name__ == "FusedHead"
