"""Throughput: tokens per second, MFU, padding, waiting for data and memory; for any Trainer.

Nothing here makes the host wait for the device, but for once: after the first steps (compilation,
warm-up), which are left out. Times are taken where a loss is logged, because reading the loss has
waited for the device anyway. Between two steps an event is put into the device's queue at each end;
the time between the two is what the device really had nothing to do, and it is read at the next log.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback

from ftadvise_trainer.callbacks.idle import Idle
from ftadvise_trainer.callbacks.speeds import Counts, Meter
from ftadvise_trainer.speed import flops

WARM_UP = 3
"""Optimizer steps that are left out of the mean, at the beginning and after a resume."""


class Throughput(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Measures how fast a training is: `Trainer(..., callbacks=[Throughput()])`.

    Adds `tokens_per_second`, `mfu`, `padding_share` and `data_wait_share` to each log of a train
    loss, as far as they are known, for the steps since the log before. `summary` has the mean over
    the session. An evaluation and a save do not count, nor do steps between the last log and them.

    Tokens are known where somebody tells them by `packed`, as FineTuner does, or where transformers
    counts them (`include_num_input_tokens_seen`, which makes the host wait for the device in every
    step); `"all"` counts the padding too.
    """

    def __init__(self, fused: bool = False) -> None:
        """Begin.

        Args:
            fused: Whether the output head is computed for the trained tokens only.
        """
        self._meter = Meter(fused=fused)
        self._all, self._now = Counts(), Counts()
        self._idle = Idle()
        self._since: float | None = None
        self._told = False
        self._seen = 0
        self._steps = 0
        self._processes = 1

    def packed(
        self,
        tokens: int,
        padding: int,
        rows: int,
        *,
        trained: int | None = None,
        squares: int | None = None,
    ) -> None:
        """Take the counts of one batch of this process, before or after its forward pass.

        Args:
            tokens: Real tokens.
            padding: Padded places.
            rows: Forward passes.
            trained: Tokens that have a loss.
            squares: Sum of the squared lengths of the documents.
        """
        self._told = True
        self._now.add(
            Counts(tokens=tokens, padding=padding, trained=trained or 0, squares=squares or 0)
        )

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the model and the device."""
        model = kwargs.get("model")
        self._meter.model = None if model is None else flops.of_model(model)
        self._meter.device = torch.device(args.device)
        self._processes = int(args.world_size)
        # DataParallel has several in one process.
        self._meter.devices = self._processes * max(getattr(args, "n_gpu", 1), 1)
        self._idle = Idle(self._meter.device)
        self._all, self._now, self._since = Counts(), Counts(), None
        self._seen, self._steps = int(state.num_input_tokens_seen), 0
        if self._meter.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._meter.device)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The batch is there."""
        self._idle.ends()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A step is queued; after the first ones, the measuring begins."""
        self._steps += 1
        self._now.steps += 1
        if self._steps == WARM_UP:
            if self._meter.device.type == "cuda":
                torch.cuda.synchronize(self._meter.device)
            self._restart(state)
        self._idle.begins()

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Close a window, when this is the log of a train loss."""
        if logs is not None and "loss" in logs and self._since is not None and self._now.steps:
            self._now.seconds = time.perf_counter() - self._since
            counts = self._together(state)
            self._all.add(counts)
            found = self._meter.speed(counts)
            for name in ("tokens_per_second", "mfu", "padding_share", "data_wait_share"):
                value = getattr(found, name)
                if value is not None:
                    logs[name] = float(f"{value:.4g}")
                    if state.log_history:  # what is saved, and what a resume restores
                        state.log_history[-1][name] = logs[name]
            self._restart(state)
        self._idle.begins()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the evaluation out."""
        self._skip(state)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the saving out."""
        self._skip(state)

    def summary(self) -> dict[str, Any] | None:
        """Return the `Speed` of the session so far as plain data; None before the first window."""
        return vars(self._meter.speed(self._all)) if self._all.steps else None

    def _skip(self, state: Any) -> None:
        if self._since is not None:
            self._restart(state)
        self._idle.begins()

    def _restart(self, state: Any) -> None:
        self._since, self._now = time.perf_counter(), Counts()
        self._seen = int(state.num_input_tokens_seen)
        self._idle.forget()

    def _together(self, state: Any) -> Counts:
        """Return the counts of the window over all processes; all of them have to ask."""
        own = self._now
        own.waited = self._idle.seconds()
        if not self._told:  # transformers adds up the processes itself
            own.tokens = (int(state.num_input_tokens_seen) - self._seen) // self._processes
        if not (distributed.is_available() and distributed.is_initialized()):
            return own
        sums = [own.tokens, own.padding, own.trained, own.squares, round(own.waited * 1e9)]
        every = torch.tensor(sums, dtype=torch.int64, device=self._meter.device)
        distributed.all_reduce(every)
        tokens, padding, trained, squares, waited = (int(x) for x in every.tolist())
        waited_each = waited / 1e9 / distributed.get_world_size()
        return Counts(own.seconds, own.steps, tokens, padding, trained, squares, waited_each)
