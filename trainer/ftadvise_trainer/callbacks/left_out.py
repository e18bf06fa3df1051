"""An optimizer step that the device leaves out by itself, so that nobody waits before it.

`torch.amp.GradScaler` tells a fused optimizer by its attribute `found_inf` whether gradients are
finite: a tensor on the device, which the kernel reads, and where it is not zero weights and moments
stay as they are. Told the same way, an optimizer can be started before the host knows the answer,
and the host can ask when the device has long been further. Waiting leaves the device idle while
Python starts the optimizer and the next step: 8 ms of a step of 250 (0.5B on an H200).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

_TOLD = (torch.optim.AdamW, torch.optim.Adam)


@dataclass(frozen=True)
class LeftOut:
    """What the host can learn when the device is so far.

    Attributes:
        answer: Whether the step is left out: an int32 scalar in the host's memory.
        ready: When that has been written; None where it is.
    """

    answer: torch.Tensor
    ready: torch.cuda.Event | None

    def read(self) -> bool:
        """Return whether the step was left out; waits for the device where it is not so far."""
        if self.ready is not None:
            self.ready.synchronize()
        return bool(self.answer)


def leaving_out(optimizer: Any, flag: torch.Tensor) -> LeftOut | None:
    """Let an optimizer leave out its next step where `flag` is not zero.

    Args:
        optimizer: Of torch, or one that accelerate has wrapped.
        flag: An int32 scalar on the device; a new one before each step.

    Returns:
        How to read the flag; None where the optimizer cannot be told, and was not.
    """
    optimizer = getattr(optimizer, "optimizer", optimizer)
    if type(optimizer) not in _TOLD or getattr(optimizer, "grad_scale", None) is not None:
        return None
    groups = optimizer.param_groups
    whole = all(type(p) is torch.nn.Parameter for group in groups for p in group["params"])
    if not whole or not all(group.get("fused") for group in groups):
        return None  # parts of a sharded model are tensors of another kind
    optimizer.found_inf = flag.to(torch.float32)
    if flag.device.type != "cuda":
        return LeftOut(flag.cpu(), None)
    answer = torch.empty((), dtype=flag.dtype, pin_memory=True)
    answer.copy_(flag, non_blocking=True)
    event: Any = torch.cuda.Event  # has no types
    ready = event()
    ready.record()
    return LeftOut(answer, ready)
