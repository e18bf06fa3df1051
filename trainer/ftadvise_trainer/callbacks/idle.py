"""How long a device has nothing to do between two steps, without ever waiting for it."""

from __future__ import annotations

import time
from typing import Any

import torch


class Idle:
    """Adds up the times between `begins` and `ends`, as the device sees them.

    On a GPU both put an event into its queue. When the host is ahead of the device, the two lie
    next to each other and the time is none; when the device has run dry, it is the time until there
    is work again. On a CPU it is the time of the clock.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        """Take the device."""
        self.on_cuda = device is not None and device.type == "cuda"
        self._began: Any = None
        self._pairs: list[tuple[Any, Any]] = []
        self._seconds = 0.0

    def begins(self) -> None:
        """The work so far is queued; of several calls the last counts."""
        self._began = self._event() if self.on_cuda else time.perf_counter()

    def ends(self) -> None:
        """There is work again."""
        began, self._began = self._began, None
        if isinstance(began, float):
            self._seconds += time.perf_counter() - began
        elif began is not None:
            self._pairs.append((began, self._event()))

    def seconds(self) -> float:
        """Return the sum since `forget`; to be asked when the device has caught up."""
        # One that has not come by yet is left out, not waited for.
        done = [(a, b) for a, b in self._pairs if b.query()]
        return self._seconds + sum(float(a.elapsed_time(b)) for a, b in done) / 1000.0

    def forget(self) -> None:
        """Begin at zero again."""
        self._seconds, self._pairs = 0.0, []

    def _event(self) -> Any:
        cuda: Any = torch.cuda  # its events are not typed
        event = cuda.Event(enable_timing=True)
        event.record()
        return event
