"""EarlyStop: patience and threshold without drift, and the classic sign of overfitting."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from ftadvise.stopping import (
    check_settings,
    cumulative_stop,
    rises_while_train_falls,
    train_loss_at_evals,
)
from ftadvise_trainer.callbacks.history import run_of, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)


class EarlyStop(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Stops a run whose eval loss no longer improves; for any transformers Trainer.

    Differs from `transformers.EarlyStoppingCallback` in four points: gains below the threshold
    add up instead of moving the reference away ("drift"); it needs neither
    `metric_for_best_model` nor `load_best_model_at_end`; it judges the logged history, so that a
    resume neither grants new patience nor trains on after a stop; it says why it stopped.

    Attributes:
        reason: Why the run was stopped: `reason`, `epoch`, `step` and `policy`; None before. The
            policy is written as `ftadvise replay --policy` takes it.
    """

    def __init__(
        self,
        patience: int | None,
        threshold: float = 0.0,
        rises_patience: int | None = None,
        metric: str = "eval_loss",
    ) -> None:
        """Set the rules; any of them may be left out.

        Args:
            patience: Evaluations in a row without improvement before the run stops; None never
                stops for that.
            threshold: Gain in loss that counts as an improvement; smaller gains add up.
            rises_patience: Evaluations in a row at which eval loss rises while train loss falls
                before the run stops; None never stops for that.
            metric: Name of the loss in the metrics; lower is better.

        Raises:
            UsageError: If a setting is out of range.
        """
        for given in (patience, rises_patience):
            if given is not None:
                check_settings(given, threshold)
        self.patience = patience
        self.threshold = threshold
        self.rises_patience = rises_patience
        self.metric = metric
        self.reason: dict[str, Any] | None = None
        self._was_over = False
        self._first_step = 0
        self._warned = False

    def verdict(self, log_history: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return why a run with this history has to stop, or None when it goes on.

        A command can ask before it starts a resume, and need not load anything.
        """
        run = run_of(log_history, self.metric)
        losses = run.eval.loss
        found: list[tuple[int, str, str]] = []
        if self.patience is not None:
            policy = f"keras:patience={self.patience},threshold={self.threshold:g}"
            place = int(cumulative_stop(losses, self.patience, self.threshold))
            found.append((place, "patience ran out", policy))
        if self.rises_patience is not None:
            policy = f"rises-while-train-falls:patience={self.rises_patience}"
            train = train_loss_at_evals(run)
            place = int(rises_while_train_falls(losses, train, self.rises_patience))
            found.append((place, "eval loss rises while train loss falls", policy))
        place, why, policy = min(found, default=(losses.size + 1, "", ""))
        if place > losses.size:
            return None
        epoch, step = run.eval.epoch[place - 1], run.eval.step[place - 1]
        return {"reason": why, "epoch": float(epoch), "step": whole(step), "policy": policy}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See whether the run that is resumed was over already."""
        self.reason = self.verdict(state.log_history)
        self._was_over = self.reason is not None
        self._first_step = state.global_step
        if self._was_over:
            control.should_training_stop = True
            logger.warning("nothing is trained: the run had stopped already, %s", self.reason)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the weights of a run that was over.

        transformers looks at the stop flag only after a step; without gradients that step
        changes nothing.
        """
        if self._was_over:
            kwargs["optimizer"].zero_grad()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Neither log, evaluate nor save that step."""
        if self._was_over:
            control.should_log = control.should_evaluate = control.should_save = False
            control.should_training_stop = True

    on_epoch_end = on_step_end

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Judge the history up to now."""
        self._warn_of_what_is_missing(metrics or {}, state.log_history)
        self.reason = self.verdict(state.log_history)
        if self.reason is not None:
            control.should_training_stop = True
            # An evaluation before the first step, which a resume has to redo: again too late.
            self._was_over = state.global_step == self._first_step

    def _warn_of_what_is_missing(
        self, metrics: Mapping[str, float], log_history: Sequence[Mapping[str, Any]]
    ) -> None:
        if self._warned or "eval_interrupted" in metrics:
            return
        if self.metric not in metrics:
            logger.warning(
                "early stopping cannot judge this evaluation: it has no %s, only %s",
                self.metric,
                ", ".join(sorted(metrics)),
            )
            self._warned = True
        elif self.rises_patience is not None and not any("loss" in row for row in log_history):
            logger.warning(
                "early stopping cannot see the train loss fall: none was logged before the "
                "evaluation; set logging_steps below the steps between evaluations"
            )
            self._warned = True
