"""Progress: what a person who watches a run wants to know, one bar and one line per evaluation."""

from __future__ import annotations

import math
import shlex
import time
from typing import TYPE_CHECKING, Any, TextIO, cast

from tqdm import tqdm
from transformers import TrainerCallback

from ftadvise.numbers import percent, short
from ftadvise.text import clean
from ftadvise_trainer.callbacks.history import best_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence


class Progress(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Shows how a run goes on: loss, best, tokens per second, time left; for any Trainer.

    On a terminal it is a bar. Elsewhere it is plain lines without control characters, one about
    every `every` seconds. Each evaluation gets a line that says better or worse and by how much;
    the end says what was kept, why it stopped and which command analyses it.
    """

    def __init__(
        self,
        stream: TextIO,
        metrics: str | os.PathLike[str] | None = None,
        stoppers: Sequence[Any] = (),
        checkpoints: Callable[[], list[dict[str, Any]]] | None = None,
        every: float = 10.0,
        speed: Callable[[], dict[str, Any] | None] | None = None,
    ) -> None:
        """Set where to.

        Args:
            stream: Where to write, mostly `sys.stderr`.
            metrics: The `training_metrics.json` that is written, for the command at the end.
            stoppers: Callbacks that may stop the run, with an attribute `reason`.
            checkpoints: Returns the checkpoints kept: `path`, `epoch` and `eval_loss` of each.
            every: Seconds between two lines where there is no terminal.
            speed: Returns how fast the session was, as `Throughput.summary` does. That callback has
                to stand before this one.
        """
        self.stream = stream
        self.metrics = metrics
        self.stoppers = tuple(stoppers)
        self.checkpoints = checkpoints
        self.every = every
        self.speed = speed
        self._bar: tqdm[Any] | None = None
        self._began = (0.0, 0)
        self._last_line = -math.inf

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin the bar, where the run stands."""
        self._began = (time.monotonic(), state.global_step)
        if state.is_world_process_zero and self.stream.isatty():
            self._bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                file=self.stream,
                unit="step",
                dynamic_ncols=True,
                leave=False,
                bar_format="{percentage:3.0f} % |{bar}| {n_fmt}/{total_fmt} {desc} {remaining} left",
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the loss, the best eval loss and the speed."""
        if not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        text = self._numbers(cast("Mapping[str, Any]", logs), state)
        if self._bar is not None:
            self._bar.set_description_str(text)
        elif time.monotonic() >= self._last_line + self.every:
            self._last_line = time.monotonic()
            steps = f"step {state.global_step}/{state.max_steps}"
            self._line(f"{steps}  epoch {state.epoch:.2f}  {text}{self._time_left(state)}")

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Say whether the evaluation is better or worse, and by how much."""
        if state.is_world_process_zero:
            history = [row for row in state.log_history if row.get("step") != state.global_step]
            self._line(f"epoch {state.epoch:.1f}  {judged(metrics or {}, best_of(history))}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say what was kept, why it stopped and how to go on."""
        self._close()
        if not state.is_world_process_zero:
            return
        self._line(f"stopped: {self._why(state)}")
        best = best_of(state.log_history)
        if best is not None:
            self._line(f"best: {_at(best)}")
        for kept in self.checkpoints() if self.checkpoints is not None else []:
            loss = kept.get("eval_loss")
            told = f"  eval loss {short(loss)}" if isinstance(loss, float) else ""
            self._line(f"kept: {clean(kept['path'], 4096)}{told}")
        speed = self.speed() if self.speed is not None else None
        if speed is not None:
            self._line(f"speed: {', '.join([*told_speed(speed), *_memory(speed)])}")
        if self.metrics is not None:
            self._line(f"ftadvise analyze {shlex.quote(clean(self.metrics, 4096))}")

    def _numbers(self, logs: Mapping[str, Any], state: Any) -> str:
        parts = [f"loss {short(float(logs['loss']))}"]
        best = best_of(state.log_history)
        if best is not None:
            parts.append(f"best {short(best['eval_loss'])}")
        parts += told_speed(logs)
        return "  ".join(parts)

    def _time_left(self, state: Any) -> str:
        began, first = self._began
        done = state.global_step - first
        if done <= 0:
            return ""
        seconds = (time.monotonic() - began) / done * (state.max_steps - state.global_step)
        return f"  {tqdm.format_interval(seconds)} left"

    def _why(self, state: Any) -> str:
        for stopper in self.stoppers:
            if stopper.reason is not None:
                policy = stopper.reason.get("policy")
                told = clean(stopper.reason.get("reason"))
                return f"{told} ({clean(policy)})" if policy else told
        if 0 < state.max_steps <= state.global_step:
            return f"all {state.max_steps} steps are done"
        return f"at step {state.global_step} of {state.max_steps}"

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self.stream)
            return
        self.stream.write(text + "\n")
        self.stream.flush()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def judged(metrics: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """Return an evaluation in words, compared with the best one `before` it."""
    loss = metrics.get("eval_loss")
    if loss is None:
        broken_off = "eval_interrupted" in metrics
        return "evaluation broken off" if broken_off else "evaluation without an eval loss"
    told = f"eval loss {short(float(loss))}"
    if not math.isfinite(loss):
        return f"{told}  not finite"
    if before is None:
        return f"{told}  the first"
    change = float(loss) / before["eval_loss"] - 1.0 if before["eval_loss"] else 0.0
    if change < 0:
        return f"{told}  better by {percent(-change)}"
    if change == 0:
        return f"{told}  as good as the best"
    return f"{told}  worse by {percent(change)} than {_at(before)}"


def told_speed(logs: Mapping[str, Any]) -> list[str]:
    """Return the speed in words, and what slows it down where it is worth a word."""
    rate = logs.get("tokens_per_second", logs.get("train_tokens_per_second"))
    told = [] if rate is None else [f"{float(rate):,.0f} tokens/s"]
    if logs.get("mfu") is not None:
        told.append(f"MFU {percent(logs['mfu'])}")
    for key, what in (("padding_share", "padding"), ("data_wait_share", "waiting for data")):
        share = logs.get(key)
        if share is not None and share >= _WORTH_A_WORD:
            told.append(f"{what} {percent(share)}")
    return told


_WORTH_A_WORD = 0.1
"""Share of padding, or of the time that goes by waiting, from which on it is said."""


def _memory(speed: Mapping[str, Any]) -> list[str]:
    peak = speed.get("peak_memory_bytes")
    return [f"peak memory {peak / 1e9:.3g} GB"] if peak else []


def _at(best: Mapping[str, Any]) -> str:
    return f"eval loss {short(best['eval_loss'])} at epoch {best['epoch']:.1f}"
