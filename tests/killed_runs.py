"""Trainings in processes of their own, killed at a chosen moment.

The processes come from a fork server that has only imported torch: a fork of the test process
itself, whose torch may have started threads, can hang.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
from typing import Any

from transformers import TrainerCallback

from ftadvise_trainer.config import Config
from ftadvise_trainer.training import train

LONGEST = 240.0  # seconds; a training here takes a few


class KillAt(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Kills its own process after a micro-batch (odd) or an optimizer step (even)."""

    def __init__(self, moment: int) -> None:
        self.step, self.inside = divmod(moment, 2)

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.inside and state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.inside and state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def train_quietly(settings: Config, callbacks: list[TrainerCallback]) -> None:
    """Train without a word."""
    train(settings, stream=io.StringIO(), callbacks=callbacks)


def run(settings: Config, *callbacks: TrainerCallback) -> int:
    """Train in a process of its own and return how it ended."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed_runs"])
    process = context.Process(target=train_quietly, args=(settings, list(callbacks)))
    process.start()
    process.join(LONGEST)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"the training has not ended after {LONGEST} seconds")
    return process.exitcode
