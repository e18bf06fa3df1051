"""Times of steps as the device sees them, and what the steps did, without slowing them down."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from transformers import TrainerCallback


class StepClock(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Puts a mark behind each step, and ends the training when it has been measured for long enough.

    The marks are events in the device's queue, read at the end. The host waits for the device once,
    when the warm-up is over.
    """

    def __init__(self, warm_up: int, seconds: float, most: int) -> None:
        """Set how many steps are left out, how long the others may take, and how many there are."""
        self.warm_up, self.seconds, self.most = warm_up, seconds, most
        self.cuda = torch.cuda.is_available()
        self.marks: list[Any] = []
        self.until = float("inf")
        self.first_step: float | None = None
        self.began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark the end of the step."""
        if self.first_step is None:
            self.first_step = time.perf_counter() - self.began
        if len(self.marks) == self.warm_up:
            if self.cuda:
                torch.cuda.synchronize()
            self.until = time.perf_counter() + self.seconds
        self.marks.append(self._mark())
        done = len(self.marks) > self.warm_up + 2 and time.perf_counter() > self.until
        if done or len(self.marks) >= self.most:
            control.should_training_stop = True

    def times(self) -> list[float]:
        """Return the seconds of each step but the first."""
        if self.cuda:
            torch.cuda.synchronize()
            pairs = zip(self.marks, self.marks[1:], strict=False)
            return [a.elapsed_time(b) / 1000.0 for a, b in pairs]
        return [b - a for a, b in zip(self.marks, self.marks[1:], strict=False)]

    def _mark(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        cuda: Any = torch.cuda
        event = cuda.Event(enable_timing=True)
        event.record()
        return event


class Recorded:
    """Mixed into a Trainer: remembers the loss and the real tokens of each step, on the device."""

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Train as the Trainer does."""
        if not hasattr(self, "losses"):
            self.losses: list[torch.Tensor] = []
            self.tokens: list[Any] = []
        self.tokens.append(_tokens(inputs))
        loss: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)  # type: ignore[misc]
        self.losses.append(loss.detach())
        return loss


def _tokens(inputs: Any) -> Any:
    if "counts" in inputs:  # ftadvise's own, of a packed batch
        return inputs["counts"]["tokens"]
    mask = inputs.get("attention_mask")
    return inputs["input_ids"].numel() if mask is None else mask.sum()


def result(trainer: Any, clock: StepClock) -> dict[str, Any]:
    """Return what was measured, the warm-up left out, but for the losses."""
    times = clock.times()[clock.warm_up :]
    tokens = [int(t) for t in trainer.tokens]
    measured = tokens[clock.warm_up + 1 :][: len(times)]
    rates = [n / t for n, t in zip(measured, times, strict=True)]
    return {
        "steps": len(times),
        "seconds": sum(times),
        "median_step_ms": 1000.0 * statistics.median(times),
        "tokens_per_step": sum(measured) / len(measured),
        "tokens_per_second": sum(measured) / sum(times),
        "median_rate": statistics.median(rates),
        "first_step_seconds": clock.first_step,
        "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if clock.cuda else None,
        "losses": [float(x) for x in trainer.losses[:50]],
        "tokens": tokens[:50],
    }
