"""Tokens, seconds and FLOPs of some steps, and the speed that they amount to."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ftadvise_trainer.speed import flops


@dataclass
class Counts:
    """What was done in some time, on this process, then on all of them together.

    Attributes:
        seconds: How long it took.
        steps: Optimizer steps.
        tokens: Real tokens, without padding.
        padding: Padded places.
        trained: Tokens that have a loss.
        squares: Sum of the squared lengths of the documents.
        waited: Seconds in which the device, or on a CPU the process, waited for the next batch.
    """

    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    padding: int = 0
    trained: int = 0
    squares: int = 0
    waited: float = 0.0

    def add(self, other: Counts) -> None:
        """Add what was done in another time."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Speed:
    """How fast a training is, None where something is not known.

    Attributes:
        steps: Optimizer steps that were measured; the first are left out.
        seconds_per_step: Without evaluations and saving.
        tokens_per_second: Real tokens, on all devices together.
        mfu: Model FLOPs of 6N over the peak of the devices.
        mfu_with_attention: The same with attention in the FLOPs.
        padding_share: Padded places over all places.
        data_wait_share: Share of the time that went by waiting for the next batch.
        peak_memory_bytes: Most bytes that tensors took on this process's device.
        device: Name of the device.
        devices: How many.
        peak_flops: FLOP/s of one device that the MFU is a share of.
    """

    steps: int
    seconds_per_step: float | None
    tokens_per_second: float | None
    mfu: float | None
    mfu_with_attention: float | None
    padding_share: float | None
    data_wait_share: float | None
    peak_memory_bytes: int | None
    device: str
    devices: int
    peak_flops: float | None


@dataclass
class Meter:
    """What is measured against: the model, the device, how many there are."""

    model: flops.ModelFlops | None = None
    fused: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    devices: int = 1

    def speed(self, counts: Counts) -> Speed:
        """Return the speed that `counts`, of all processes, amount to."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        peak = flops.peak(name)
        places = counts.tokens + counts.padding
        known = counts.tokens > 0 < counts.seconds
        return Speed(
            steps=counts.steps,
            seconds_per_step=counts.seconds / counts.steps if counts.steps else None,
            tokens_per_second=counts.tokens / counts.seconds if known else None,
            mfu=self._mfu(counts, 0.0, peak),
            mfu_with_attention=self._mfu(counts, counts.squares, peak) if counts.squares else None,
            padding_share=counts.padding / places if counts.squares else None,
            data_wait_share=counts.waited / counts.seconds if counts.seconds else None,
            peak_memory_bytes=_peak_memory(self.device),
            device=name,
            devices=self.devices,
            peak_flops=peak,
        )

    def _mfu(self, counts: Counts, squares: float, peak: float | None) -> float | None:
        if self.model is None or not counts.tokens:
            return None
        head = counts.trained / counts.tokens if self.fused and counts.trained else 1.0
        each = self.model.per_token(squares / counts.tokens, head)
        return flops.mfu(each * counts.tokens, counts.seconds, peak, self.devices)


def _peak_memory(device: torch.device) -> int | None:
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else None
