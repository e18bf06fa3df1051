"""AdvisorCallback for PyTorch Lightning, of `lightning` and of `pytorch_lightning`."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ftadvise.run import Run, Settings
from ftadvise_trainer.callbacks.history import run_of
from ftadvise_trainer.callbacks.live_advice import LiveAdvice, callback_of

logger = logging.getLogger(__name__)

# A Trainer takes callbacks of its own package alone, and many have both.
_Callback: Any = callback_of("lightning.pytorch", "pytorch_lightning")

PREFIX = "val_"
# How torch's schedulers are called elsewhere; what is unknown shows in the rates when they fall.
_SCHEDULES = {"CosineAnnealingLR": "cosine", "OneCycleLR": "cosine", "PolynomialLR": "linear"}


class AdvisorCallback(LiveAdvice, _Callback):  # type: ignore[misc]  # its base has no types here
    """The advisor in a Lightning Trainer: `Trainer(..., callbacks=[AdvisorCallback()])`.

    After each validation it gives `val_forecast`, the loss to expect at the end of the run, and
    `val_probability_of_improvement`, the chance that the run ends one percent better than its best
    so far, to the progress bar and to all loggers. At the end it logs one message, the advice for
    the next run, and keeps it in `advice`.

    What it has seen stands in the checkpoints: a resumed run stops where the whole one would have,
    and one that had stopped is not trained on. The first process decides for all, from the losses
    that it sees: log the metric with `sync_dist=True`. The train loss is the mean of what
    `training_step` returned since the validation before. A training never fails of it.

    Its attributes are those of `LiveAdvice`.
    """

    def __init__(
        self,
        *,
        stop: bool = False,
        metric: str = "val_loss",
        past: Sequence[Run] = (),
        share: float = 0.01,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Set what it may do besides saying what it sees.

        Args:
            stop: Whether to stop the run when `ftadvise.should_stop` says so.
            metric: Name under which the module logs its validation loss.
            past: Earlier runs of the same fine-tune, from `ftadvise.read`.
            share: Of the time of the training, what forecasts may take at most.
            say: Takes the message at the end; it is logged as a warning when None.
        """
        super().__init__(logger, PREFIX, past, share, say)
        self.stop, self.metric = stop, metric
        self.reason = None
        self._rows: list[dict[str, Any]] = []
        self._total: Any = 0.0
        self._count = self._batches = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Forget another run; end one that is resumed and had stopped."""
        if trainer.global_step == 0:
            self.advice = None
            self._take_up(rows=(), reason=None, total=0.0, count=0, batches=0)
        if self.stop and self.reason is not None:
            trainer.should_stop = True
            logger.warning("nothing is trained: the run had stopped already, %s", self.reason)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the loss up where it is: fetching it at every step would hold up an accelerator."""
        self._batches = batch_idx + 1
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if loss is not None:
            # Lightning has divided it by the batches that make a step.
            parts = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
            self.tried(lambda: self._add(loss, parts))

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Say what is to be expected, and stop when it is time."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or trainer.fast_dev_run:
            return
        wanted: dict[str, Any] | None = None
        if trainer.is_global_zero and self.tried(lambda: self._observe(trainer)):
            found = self.foreseen(lambda: self._run(trainer))
            self.tried(lambda: _show(trainer, found))
            if self.stop and self.reason is None:
                wanted = self.verdict_on(lambda: self._run(trainer))
        if self.stop:
            self.reason = trainer.strategy.broadcast(wanted or self.reason)
            trainer.should_stop = trainer.should_stop or self.reason is not None

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Say what the next run should be."""
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self.conclude(lambda: self._run(trainer))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know, as plain numbers."""
        mean = {"total": float(self._total), "count": self._count, "batches": self._batches}
        return {"rows": [dict(row) for row in self._rows], "reason": self.reason, **mean}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what the run before had seen."""
        self.tried(lambda: self._take_up(**state_dict))

    def _take_up(
        self,
        rows: Sequence[Mapping[str, Any]],
        reason: dict[str, Any] | None,
        total: float,
        count: int,
        batches: int,
    ) -> None:
        self._rows, self.reason = [dict(row) for row in rows], reason
        self._total, self._count, self._batches = total, count, batches

    def _add(self, loss: Any, parts: int) -> None:
        self._total, self._count = self._total + loss.detach() * parts, self._count + 1

    def _observe(self, trainer: Any) -> bool:
        """Note a validation; say whether one is still to come."""
        seen = trainer.callback_metrics
        if self.metric not in seen:
            raise LookupError(f"no {self.metric} is logged, only {', '.join(sorted(seen))}")
        where = {"step": trainer.global_step, "epoch": _epochs_done(trainer, self._batches)}
        if self._count:
            self._rows.append({"loss": float(self._total) / self._count, **where})
            self._total, self._count = 0.0, 0
        if trainer.optimizers:
            rate = float(trainer.optimizers[0].param_groups[0]["lr"])
            self._rows.append({"learning_rate": rate, **where})
        self._rows.append({self.metric: float(seen[self.metric]), **where})
        return bool(trainer.global_step < (_planned_steps(trainer) or math.inf))

    def _run(self, trainer: Any) -> Run:
        run, steps = run_of(self._rows, self.metric), _planned_steps(trainer)
        epochs = None
        if per_epoch := run.steps_per_epoch:
            whole = trainer.max_steps == -1 and (trainer.max_epochs or -1) > 0
            epochs = float(trainer.max_epochs) if whole else steps and steps / per_epoch
        kind = None if trainer.lr_scheduler_configs else "constant"
        for config in trainer.lr_scheduler_configs:
            kind = kind or _SCHEDULES.get(type(config.scheduler).__name__)
        settings = Settings(num_train_epochs=epochs, lr_scheduler_type=kind)
        return replace(run, planned_epochs=epochs, planned_steps=steps, settings=settings)


def _epochs_done(trainer: Any, batches: int) -> float | None:
    """Return the passes over the data; None inside one whose length nobody knows."""
    if math.isfinite(trainer.num_training_batches):
        return float(trainer.current_epoch + batches / trainer.num_training_batches)
    return trainer.current_epoch + 1.0 if trainer.is_last_batch else None


def _planned_steps(trainer: Any) -> float | None:
    steps = float(trainer.estimated_stepping_batches)
    return steps if 0 < steps < math.inf else None


def _show(trainer: Any, found: Mapping[str, float]) -> None:
    trainer.progress_bar_metrics.update(found)
    for one in trainer.loggers if found else ():
        one.log_metrics(dict(found), step=trainer.global_step)
