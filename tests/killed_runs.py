"""Trainings in processes of their own, killed or signalled at a chosen moment."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Any

from forked import begin, fork_server
from transformers import TrainerCallback

from ftadvise_trainer.config import Config

LONGEST = 240.0  # seconds; a training here takes a few


class SignalAt(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Has somebody else signal its process group, workers included, at an event after `step`."""

    def __init__(self, event: str, step: int, number: int = signal.SIGTERM) -> None:
        self.event, self.step, self.number, self.sent = event, step, number, False

    def _send(self, event: str, state: Any) -> None:
        if event == self.event and state.global_step == self.step and not self.sent:
            self.sent = True
            # Not by itself: a worker knows its parent's signals from those of a scheduler.
            sender = os.fork()
            if sender == 0:
                os.killpg(0, self.number)
                os._exit(0)
            os.waitpid(sender, 0)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._send("on_step_begin", state)

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._send("on_substep_end", state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._send("on_step_end", state)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._send("on_prediction_step", state)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._send("on_evaluate", state)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._send("on_save", state)


class LoseWorkerAt(SignalAt):
    """Raises besides, as torch does when a worker dies of the signal to the process group."""

    def __init__(self, event: str, step: int, number: int | None) -> None:
        super().__init__(event, step, number or signal.SIGTERM)
        self.silent = number is None

    def _send(self, event: str, state: Any) -> None:
        if event == self.event and state.global_step == self.step:
            if not self.silent:
                super()._send(event, state)
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated. ")


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


def train_quietly(settings: Config, callbacks: list[TrainerCallback], errors: str) -> None:
    """Train in a process group of its own; what it and its workers say goes to a file."""
    os.setpgid(0, 0)
    begin(errors, {})
    from ftadvise_trainer.training import train

    sys.exit(train(settings, stream=io.StringIO(), callbacks=callbacks).exit_code)


def run(settings: Config, *callbacks: TrainerCallback, errors: str = os.devnull) -> int:
    """Train in a process of its own and return how it ended; `errors` takes what it says."""
    process = fork_server().Process(target=train_quietly, args=(settings, list(callbacks), errors))
    process.start()
    process.join(LONGEST)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"the training has not ended after {LONGEST} seconds")
    return process.exitcode
