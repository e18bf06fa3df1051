"""AdvisorCallback: the forecast, the decision to stop and the advice, inside a running training."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ftadvise_trainer.auto.schedule import rule_of
from ftadvise_trainer.callbacks import live_advice
from ftadvise_trainer.callbacks.anneal import AnnealOnOnset
from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.callbacks.live_advice import POLICY, LiveAdvice
from ftadvise_trainer.callbacks.run_so_far import decided_by_first, run_so_far, steps_per_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ftadvise.run import Run

logger = logging.getLogger(__name__)

PREFIX = "eval_"
FORECAST, CHANCE = PREFIX + live_advice.FORECAST, PREFIX + live_advice.CHANCE


class AdvisorCallback(EarlyStop, LiveAdvice):
    """The advisor in anyone's Trainer: `Trainer(..., callbacks=[AdvisorCallback()])`.

    After each evaluation it adds `eval_forecast`, the eval loss to expect at the end of the run,
    and `eval_probability_of_improvement`, the chance that the run ends one percent better than its
    best so far, to what is printed and to what `evaluate` returns. At the end it logs one message,
    the advice for the next run, and keeps it in `advice`.

    It computes at evaluations and at the end only, and from `state.log_history` alone, which a
    resume restores. The first process decides for all. A training never fails of it: what goes
    wrong is logged once, and the callback says and does nothing more.

    Its attributes are those of `LiveAdvice`.
    """

    def __init__(
        self,
        *,
        stop: bool = False,
        anneal: bool = False,
        metric: str = "eval_loss",
        past: Sequence[Run] = (),
        share: float = 0.01,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Set what it may do besides saying what it sees.

        Args:
            stop: Whether to stop the run when `ftadvise.should_stop` says so: when a gain of one
                percent is no longer to be expected, a decay of the rate that is still to come
                included. A run with an `auto` schedule ends with its decay instead.
            anneal: Whether to begin the decay of an `auto` schedule (`AnnealOnOnset`).
            metric: Name of the eval loss in the metrics.
            past: Earlier runs of the same fine-tune, from `ftadvise.read`.
            share: Of the time of the training, what forecasts may take at most: where evaluations
                follow each other faster, some have none. Decisions never depend on the clock.
            say: Takes the message at the end; it is logged as a warning when None.
        """
        EarlyStop.__init__(self, None, metric=metric)
        LiveAdvice.__init__(self, logger, PREFIX, past, share, say)
        self.stop = stop
        self.annealer = AnnealOnOnset(metric) if anneal else None
        self._moment: tuple[Any, Any, Any] | None = None

    def verdict(self, log_history: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return why the run in progress has to stop, or None; all processes have to ask."""
        if self.reason is not None or not self.stop or self._moment is None:
            return self.reason
        args, state, scheduler = self._moment
        if rule_of(scheduler) is not None or state.global_step >= state.max_steps:
            return None
        wanted: dict[str, Any] | None = None
        if state.is_world_process_zero:
            wanted = self.verdict_on(lambda: self._run(args, state))
        if not decided_by_first(wanted is not None, args, state):
            return None
        here = {"epoch": float(state.epoch or 0.0), "step": state.global_step, "policy": POLICY}
        return wanted or {"reason": "as the first process decided", **here}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See whether the run that is resumed was over already."""
        self._moment, self.reason = (args, state, kwargs.get("lr_scheduler")), None
        super().on_train_begin(args, state, control, **kwargs)
        if self.annealer is not None:
            if rule_of(kwargs.get("lr_scheduler")) is None:
                logger.warning("anneal=True does nothing: the learning rate has a fixed schedule")
            self.annealer.on_train_begin(args, state, control, **kwargs)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the weights of a run that was over."""
        super().on_pre_optimizer_step(args, state, control, **kwargs)
        if self.annealer is not None:
            self.annealer.on_pre_optimizer_step(args, state, control, **kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End a run that is over."""
        super().on_step_end(args, state, control, **kwargs)
        if self.annealer is not None:
            self.annealer.on_step_end(args, state, control, **kwargs)
            self.reason = self.reason or self.annealer.reason

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """As `on_step_end`."""
        super().on_epoch_end(args, state, control, **kwargs)
        if self.annealer is not None:
            self.annealer.on_epoch_end(args, state, control, **kwargs)

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add the forecast to what is logged of an evaluation.

        It stands in no row of `log_history`: a log holds what was observed. Loggers that come
        before this callback, as those of `report_to` do, have their row without it.
        """
        during = self._moment is not None and 0 < state.global_step < state.max_steps
        if logs is not None and self.metric in logs and during and state.is_world_process_zero:
            logs |= self.foreseen(lambda: self._run(args, state))

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Stop, or begin the decay, when it is time."""
        # Outside of a training, of another eval set, or broken off: nothing new to judge.
        if self._moment is None or self.metric not in (metrics or {}):
            return
        super().on_evaluate(args, state, control, metrics, **kwargs)
        if self.annealer is not None:
            self.annealer.on_evaluate(args, state, control, metrics, **kwargs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say what the next run should be."""
        if self._moment is not None and state.is_world_process_zero:
            self.conclude(lambda: self._run(args, state))
        self._moment = None

    def _run(self, args: Any, state: Any) -> Run:
        """Return the run so far; one whose decay has begun is planned to its end."""
        run = run_so_far(args, state, self.metric)
        rule = rule_of(self._moment[2]) if self._moment is not None else None
        per_epoch = steps_per_epoch(state)
        if rule is None or rule.start is None or per_epoch is None:
            return run
        return replace(run, planned_steps=float(rule.end), planned_epochs=rule.end / per_epoch)
