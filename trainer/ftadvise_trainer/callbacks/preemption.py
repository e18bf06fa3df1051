"""SIGTERM and SIGINT: save at the next step boundary and stop, the same step on every rank.

The handler sets a flag and nothing else, because it may come in the middle of anything. The flag
is looked at where the weights are consistent, between two optimizer steps, and inside an
evaluation through `interrupted`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.distributed
from transformers import TrainerCallback

from ftadvise_trainer.evaluation import follows_eval_loss
from ftadvise_trainer.hard_exit import SecondSignal

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from transformers import TrainerControl, TrainerState, TrainingArguments

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# torchrun passes on a signal that the terminal or the scheduler has already sent to its workers:
# under it, one that follows so soon (in seconds) is the same one.
_ECHO = 5.0 if "TORCHELASTIC_RUN_ID" in os.environ else 0.0


class Preemption(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Save and stop at the next step boundary after SIGTERM or SIGINT.

    As a callback it holds the signals from `on_train_begin` to `on_train_end`. As a context
    manager around `trainer.train()` it also gives them back when the training raises. The second
    signal ends the process within two seconds: a checkpoint without a manifest is none, so that is
    safe at any moment.

    An evaluation that is due at the step where the run stops is not made, because a grace period
    is short. It is noted in the log history as `eval_interrupted`, so that the run that goes on
    from there can make it first (`evaluation.needs_eval`). A learning rate that follows the eval
    loss needs it at its step, and it is made before the save.

    The workers of a data loader get the same signal from a scheduler or a terminal, and torch
    raises when one dies of it. `FineTuner` sees to that; in another Trainer, return the loaders
    through `workers.obeying_parent`.

    Attributes:
        signal: Number of the signal that came, on any rank, else None.
        reason: Why the run was stopped by this callback, else None.
    """

    def __init__(self) -> None:
        """Hold no signal yet."""
        self.signal: int | None = None
        self.reason: dict[str, Any] | None = None
        self._previous: dict[int, Any] = {}
        self._in_context = False
        self._first_at = 0.0
        self._second = SecondSignal(SIGNALS, _ECHO)
        self._device: torch.device | str = "cpu"
        self._saved_step: int | None = None

    @property
    def exit_code(self) -> int | None:
        """Exit status of a run that was stopped: 143 for SIGTERM, 130 for SIGINT; else None."""
        return None if self.signal is None else 128 + self.signal

    def interrupted(self) -> bool:
        """Return whether a signal has come to this process; for an evaluation to poll."""
        return self.signal is not None

    def __enter__(self) -> Self:
        """Hold the signals."""
        self._in_context = True
        self._hold()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back to whom they belonged."""
        self._in_context = False
        self._release()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Hold the signals, unless the context manager does."""
        self._device = args.device
        self.reason = self._saved_step = None
        if not self._in_context:
            self._hold()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Save and stop after this step if a signal has come on any rank.

        At the end of an epoch `on_epoch_end` follows at once and may have something to log first.
        """
        if self._agreed():
            due = control.should_evaluate
            self._stop(state, control)
            if _epoch_is_over(state):
                control.should_save = False
            if due:
                self._skip_eval(state, control, kwargs.get("lr_scheduler"))

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """As `on_step_end`, when the signal came during the evaluation."""
        if self._agreed():
            self._stop(state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """As `on_step_end`; transformers comes here also from the middle of an epoch."""
        if self._agreed():
            due = control.should_evaluate
            self._stop(state, control)
            if not _epoch_is_over(state):
                control.should_log = False
            elif due:
                self._skip_eval(state, control, kwargs.get("lr_scheduler"))

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Remember the step, so that the last one is not saved twice."""
        self._saved_step = state.global_step

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Give the signals back, unless the context manager does."""
        if not self._in_context:
            self._release()

    def _agreed(self) -> bool:
        """Return whether a signal has come on any rank; all of them have to ask."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            flag = torch.tensor(self.signal or 0, device=self._device)
            torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
            self.signal = int(flag.item()) or None
        return self.signal is not None

    def _stop(self, state: TrainerState, control: TrainerControl) -> None:
        control.should_save = self._saved_step != state.global_step
        control.should_evaluate = False
        control.should_training_stop = True
        name = signal.Signals(self.signal or signal.SIGTERM).name
        self.reason = {
            "reason": f"preempted ({name})",
            "step": state.global_step,
            "epoch": state.epoch,
            "policy": "preemption",
        }

    def _skip_eval(self, state: TrainerState, control: TrainerControl, scheduler: Any) -> None:
        if follows_eval_loss(scheduler):
            control.should_evaluate = True
            return
        note = {"eval_interrupted": 1.0, "eval_runtime": 0.0}
        state.log_history.append({**note, "epoch": state.epoch, "step": state.global_step})

    def _hold(self) -> None:
        if self._previous:
            return
        if threading.current_thread() is not threading.main_thread():
            warnings.warn(
                "Preemption needs the main thread: SIGTERM and SIGINT will not save a checkpoint",
                RuntimeWarning,
                stacklevel=3,
            )
            return
        self.signal, self._first_at = None, 0.0
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._on_signal)
        self._second.start()

    def _release(self) -> None:
        previous, self._previous = self._previous, {}
        if previous:
            self._second.stop()
        for number, handler in previous.items():
            # None: it was not installed from Python, and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signal is None or not self._first_at:
            self.signal, self._first_at = number, now
            return
        if now - self._first_at < _ECHO:
            return
        # From here it is as if we had never held the signals; `SecondSignal` sees to the rest.
        for held, handler in self._previous.items():
            signal.signal(held, signal.SIG_DFL if handler is None else handler)
        os.kill(os.getpid(), number)


def _epoch_is_over(state: TrainerState) -> bool:
    # transformers counts `epoch + batches / batches_in_epoch`: exactly whole, and only at the end.
    return float(state.epoch or 0.0).is_integer()
