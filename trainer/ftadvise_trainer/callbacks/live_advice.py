"""LiveAdvice: what the advisor says of a run in progress, the same in every framework."""

from __future__ import annotations

import importlib
import logging
import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

from ftadvise.advising import advise
from ftadvise.forecasting import Forecast, forecast
from ftadvise.live import Decision, should_stop
from ftadvise.reports import words
from ftadvise_trainer.callbacks.history import whole
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftadvise.advice import Advice
    from ftadvise.run import Run

POLICY = "ftadvise"
LEAST_EVALS = 3  # before the first forecast
FORECAST, CHANCE = "forecast", "probability_of_improvement"

T = TypeVar("T")


class LiveAdvice:
    """Forecast, decision and advice for a training; a callback derives from it.

    A training never fails of it: what goes wrong is logged once, and it says nothing more. It
    imports nothing but the advisor, so that it works beside any framework.

    Attributes:
        advice: The advice for the next run, after the training; None before, on all processes
            but the first, and where there is nothing to advise from.
        forecast: The last forecast for the end of the run.
        decision: The last decision whether to stop.
        reason: Why the run was stopped: `reason`, `epoch`, `step` and `policy`; None when it was
            not.
    """

    reason: dict[str, Any] | None

    def __init__(
        self,
        logger: logging.Logger,
        prefix: str,
        past: Sequence[Run],
        share: float,
        say: Callable[[str], None] | None,
    ) -> None:
        """Set how it speaks, and of what.

        Args:
            logger: Takes what goes wrong, and the message at the end when `say` is None.
            prefix: Of the names of its values, as the framework has it for evaluations.
            past: Earlier runs of the same fine-tune.
            share: Of the time of the training, what forecasts may take at most.
            say: Takes the message at the end.
        """
        self.past = tuple(past)
        self.share = share
        self.advice: Advice | None = None
        self.forecast: Forecast | None = None
        self.decision: Decision | None = None
        self._logger, self._prefix, self._say = logger, prefix, say
        self._failed = False
        self._not_before = -math.inf

    def foreseen(self, so_far: Callable[[], Run]) -> dict[str, float]:
        """Return the forecast for the end of a run and the chance that it ends better, by name."""
        return self.tried(lambda: self._foreseen(so_far())) or {}

    def verdict_on(self, so_far: Callable[[], Run]) -> dict[str, Any] | None:
        """Return why a run has to stop, or None."""
        return self.tried(lambda: self._verdict(so_far()))

    def conclude(self, whole_run: Callable[[], Run]) -> None:
        """Keep the advice for the next run, and say it in one message."""
        advice = self.advice = self.tried(lambda: advise(whole_run(), self.past))
        if advice is not None:
            self.tried(lambda: self._tell(advice))

    def tried(self, work: Callable[[], T]) -> T | None:
        """Return what `work` returns, or None when it fails, or when something has failed before."""
        if self._failed:
            return None
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - a training is worth more than advice about it
            self._failed = True
            self._logger.warning("the advisor says no more: %s: %s", type(error).__name__, error)
            return None

    def _tell(self, advice: Advice) -> None:
        what = words.epochs(advice), words.cadence(advice), words.stopping(advice)
        message = f"the next run: {', '.join(what)}. {words.said(' '.join(advice.reasons[:2]))}"
        if self._say is not None:
            self._say(message)
        else:
            self._logger.warning("%s", message)

    def _verdict(self, run: Run) -> dict[str, Any] | None:
        self.decision = should_stop(run, self.past)
        if not self.decision.stop:
            return None
        epoch, step = float(run.eval.epoch[-1]), whole(run.eval.step[-1])
        return {"reason": self.decision.reason, "epoch": epoch, "step": step, "policy": POLICY}

    def _foreseen(self, run: Run) -> dict[str, float]:
        if len(run.eval.finite()) < LEAST_EVALS:
            return {}
        self.decision = should_stop(run, self.past)
        found = {CHANCE: self.decision.probability_of_improvement}
        began = time.monotonic()
        if run.planned_epochs and began >= self._not_before:
            self.forecast = forecast(run, at=run.planned_epochs, past=self.past)
            found[FORECAST] = self.forecast.median
            ended = time.monotonic()
            self._not_before = ended + (ended - began) / self.share
        return {self._prefix + k: value for k, value in found.items() if math.isfinite(value)}


def callback_of(*modules: str) -> Any:
    """Return the base class of callbacks of a framework that has it under several names.

    Args:
        modules: Modules that have it as `Callback`; those that are missing are passed over.

    Raises:
        TrainError: FT509, none of them is there.
    """
    found: list[Any] = []
    for name in modules:
        try:
            found.append(importlib.import_module(name).Callback)
        except ImportError:
            continue
    if not found:
        package = modules[0].partition(".")[0]
        raise TrainError(
            f"this callback needs {package}, which is not installed here",
            hint=f"pip install {package}",
            code="FT509",
        )
    return type("Callback", tuple(found), {})
