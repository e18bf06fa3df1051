"""AdvisorCallback for Keras 3, whatever its backend."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftadvise.run import Run, Settings
from ftadvise_trainer.callbacks.history import run_of
from ftadvise_trainer.callbacks.live_advice import CHANCE, FORECAST, LiveAdvice, callback_of
from ftadvise_trainer.saving.durable import write_atomically

logger = logging.getLogger(__name__)

_Callback: Any = callback_of("keras.callbacks")

PREFIX = "val_"
# How Keras' schedules are called elsewhere; what is unknown shows in the rates when they fall.
_SCHEDULES = {"CosineDecay": "cosine", "PolynomialDecay": "linear"}


class AdvisorCallback(LiveAdvice, _Callback):  # type: ignore[misc]  # its base has no types here
    """The advisor in `fit`: `model.fit(..., validation_data=…, callbacks=[AdvisorCallback()])`.

    To the logs of an epoch with a validation it adds `val_forecast`, the loss to expect at the end
    of the run, and `val_probability_of_improvement`, the chance that the run ends one percent
    better than its best so far: they stand in the printed line, in the history and in the logs of
    callbacks that come after this one. Where nothing can be said yet they are NaN, so that all
    columns of a history have one length. At the end it logs one message, the advice for the next
    run, and keeps it in `advice`. A training never fails of it.

    Keras keeps nothing of a callback for a resume: with `backup` it keeps the losses in a file of
    its own, and a run that `BackupAndRestore` or `initial_epoch` goes on with stops where the
    whole one would have.

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
        backup: str | Path | None = None,
    ) -> None:
        """Set what it may do besides saying what it sees.

        Args:
            stop: Whether to stop the run when `ftadvise.should_stop` says so.
            metric: Name of the validation loss in the logs.
            past: Earlier runs of the same fine-tune, from `ftadvise.read`.
            share: Of the time of the training, what forecasts may take at most.
            say: Takes the message at the end; it is logged as a warning when None.
            backup: File for the losses of a run that may have to be resumed, in a folder that is
                there; None keeps them in memory only. A run that begins anew overwrites it.
        """
        _Callback.__init__(self)
        LiveAdvice.__init__(self, logger, PREFIX, past, share, say)
        self.stop, self.metric = stop, metric
        self.backup = None if backup is None else Path(backup)
        self.reason = None
        self._rows: list[dict[str, Any]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Read what the run before had seen."""
        self.reason, self.advice, backup = None, None, self.backup
        if backup is not None and backup.exists():
            self._rows = self.tried(lambda: _read(backup)) or []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Forget what is trained again, or belongs to another run."""
        self._rows = [row for row in self._rows if row["epoch"] <= epoch]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Say what is to be expected, and stop when it is time."""
        seen = logs if logs is not None else {}
        self.tried(lambda: self._observe(epoch, seen))
        if self.metric not in seen:
            return
        more = self.tried(lambda: epoch + 1 < self.params["epochs"])
        found = self.foreseen(self._run) if more else {}
        seen |= {PREFIX + name: found.get(PREFIX + name, math.nan) for name in (FORECAST, CHANCE)}
        if self.stop and more:
            self.reason = self.verdict_on(self._run)
            if self.reason is not None:
                self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Say what the next run should be."""
        self.conclude(self._run)

    def _observe(self, epoch: int, logs: dict[str, Any]) -> None:
        steps = self.params["steps"]
        done = steps * (epoch + 1) if steps else int(self.model.optimizer.iterations)
        where = {"step": done, "epoch": epoch + 1.0}
        rate = float(self.model.optimizer.learning_rate)
        if "loss" in logs:
            self._rows.append({"loss": float(logs["loss"]), **where})
        self._rows.append({"learning_rate": rate, **where})
        if self.metric in logs:
            self._rows.append({self.metric: float(logs[self.metric]), **where})
        if self.backup is not None:
            write_atomically(self.backup, json.dumps(self._rows).encode())

    def _run(self) -> Run:
        epochs, steps = self.params["epochs"], self.params["steps"]
        rate = self.model.optimizer.get_config()["learning_rate"]
        kind = _SCHEDULES.get(rate["class_name"]) if isinstance(rate, dict) else "constant"
        return replace(
            run_of(self._rows, self.metric),
            planned_epochs=float(epochs),
            planned_steps=float(steps * epochs) if steps else None,
            settings=Settings(num_train_epochs=float(epochs), lr_scheduler_type=kind),
        )


def _read(backup: Path) -> list[dict[str, Any]]:
    rows = json.loads(backup.read_text(encoding="utf-8"))
    return [{key: float(value) for key, value in row.items()} for row in rows]
