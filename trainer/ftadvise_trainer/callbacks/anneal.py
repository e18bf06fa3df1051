"""AnnealOnOnset: begins the decay of a held learning rate when the end of the run is near."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from ftadvise.annealing import DecayDecision, start_decay
from ftadvise.readers.json_logs.setup import ENDED_BY_ITSELF
from ftadvise_trainer.auto.schedule import HoldThenDecay, rule_of
from ftadvise_trainer.callbacks.run_so_far import decided_by_first, run_so_far, steps_per_epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)


class AnnealOnOnset(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Lets a `HoldThenDecay` schedule decay from the evaluation at which `start_decay` says so.

    The run ends when the rate has come down, with an evaluation and a save by the strategy that
    the arguments have. It decides from the logged history and keeps nothing besides: when the
    decay began stands in the scheduler, which every checkpoint has. Without such a schedule it
    does nothing.

    Whatever goes wrong in the decision is logged once; the rate then decays before the last epoch.

    Attributes:
        decision: The last decision on this process; None before the first, and on all processes
            but the first.
        reason: Why the run ended before its last epoch: `reason`, `epoch`, `step` and `policy`.
    """

    def __init__(self, metric: str = "eval_loss") -> None:
        """Set the name of the eval loss in the log."""
        self.metric = metric
        self.decision: DecayDecision | None = None
        self.reason: dict[str, Any] | None = None
        self._was_over = self._failed = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See whether the decay of the run that is resumed had ended."""
        self.reason = None
        rule = rule_of(kwargs.get("lr_scheduler"))
        self._was_over = rule is not None and 0 < rule.end <= state.global_step
        if rule is not None and self._was_over:
            self._end(rule, state, control)
            logger.warning("nothing is trained: the learning rate had come down to zero")

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the weights of a run that was over; transformers makes one step all the same."""
        if self._was_over:
            kwargs["optimizer"].zero_grad()

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Decide whether to begin the decay, the same on all processes."""
        rule = rule_of(kwargs.get("lr_scheduler"))
        seen = self.metric in (metrics or {}) and state.global_step > 0
        if rule is None or rule.start is not None or not seen:
            return
        if state.is_world_process_zero:
            self.decision = self._decide(rule, args, state)
        wanted = self.decision is not None and self.decision.start
        if decided_by_first(wanted, args, state):
            why = self.decision.reason if self.decision is not None else ""
            rule.begin(state.global_step, why)
            if why:
                logger.warning("the learning rate begins to decay: %s", why)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the run when the rate has come down, as transformers ends one at its last step."""
        if self._was_over:
            control.should_log = control.should_evaluate = control.should_save = False
            control.should_training_stop = True
            return
        rule = rule_of(kwargs.get("lr_scheduler"))
        if rule is None or not rule.end <= state.global_step < state.max_steps:
            return
        self._end(rule, state, control)
        control.should_log = True
        # At the end of an epoch, which comes next, transformers sees to the strategy `epoch`.
        for kind in ("evaluate", "save"):
            strategy = args.eval_strategy if kind == "evaluate" else args.save_strategy
            if str(getattr(strategy, "value", strategy)) == "steps":
                setattr(control, f"should_{kind}", True)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Neither log, evaluate nor save the step of a run that was over."""
        if self._was_over:
            control.should_log = control.should_evaluate = control.should_save = False

    def _end(self, rule: HoldThenDecay, state: Any, control: Any) -> None:
        control.should_training_stop = True
        why = f": {rule.why}" if rule.why else ""
        self.reason = {
            "reason": f"the learning rate has come down to zero{why}",
            "epoch": float(state.epoch or 0.0),
            "step": state.global_step,
            "policy": ENDED_BY_ITSELF,
        }

    def _decide(self, rule: HoldThenDecay, args: Any, state: Any) -> DecayDecision | None:
        per_epoch = steps_per_epoch(state)
        if self._failed or per_epoch is None:
            return None
        try:
            run = run_so_far(args, state, self.metric)
            return start_decay(run, rule.decay / per_epoch, rule.total / per_epoch)
        except Exception:  # a training is worth more than a decision about it
            self._failed = True
            logger.warning("the decay begins before the last epoch: no decision", exc_info=True)
            return None
