"""Fit -> Advice: what happened in this run, and what the next one should be."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from ftadvise.display import Plottable
from ftadvise.fitting import Fit
from ftadvise.forecasting import Forecast
from ftadvise.rules.case import Finding
from ftadvise.run import Run

SCHEMA = "ftadvise.advice/1"


@dataclass(frozen=True)
class Observed:
    """What the log shows. Losses are those of the eval series, or of the train series without one.

    Attributes:
        train_points: Train losses in the log.
        eval_points: Eval losses in the log.
        epochs: Epochs done.
        steps_per_epoch: Optimizer steps in an epoch; None where unknown.
        lr_schedule: Kind of learning-rate schedule; None where neither logged nor named.
        first_loss: First loss of the series.
        best_eval_loss: Lowest loss of the series, as logged.
        best_epoch: Where it was logged.
        last_eval_loss: Last loss of the series.
        loss_reduction_percent: From the first to the lowest loss.
        eval_noise: Scatter of one point around the curve, as a share of the loss.
    """

    train_points: int
    eval_points: int
    epochs: float
    steps_per_epoch: float | None
    lr_schedule: str | None
    first_loss: float
    best_eval_loss: float
    best_epoch: float
    last_eval_loss: float
    loss_reduction_percent: float
    eval_noise: float


@dataclass(frozen=True)
class Overfitting:
    """Where overfitting began: see `ftadvise.onset.Onset`."""

    status: str
    onset_epoch: float | None
    interval: tuple[float, float] | None
    probability: float


@dataclass(frozen=True)
class Recommendation:
    """How to set up the next run; names are those of `transformers.TrainingArguments`.

    Attributes:
        epochs_range: Numbers of epochs that are about as good.
        eval_strategy: `"steps"`, or `"epoch"` when the steps in an epoch are unknown.
        eval_steps: Optimizer steps between evaluations; None with strategy `"epoch"`.
        expected_eval_loss: Of the checkpoint that this run keeps, without the luck of its draw.
        probability_of_false_stop: That patience and threshold stop it before its best evaluation.
    """

    num_train_epochs: int
    epochs_range: tuple[int, int]
    eval_strategy: str
    eval_steps: int | None
    save_strategy: str
    save_steps: int | None
    save_total_limit: int
    load_best_model_at_end: bool
    metric_for_best_model: str
    early_stopping_patience: int
    early_stopping_threshold: float
    expected_eval_loss: float
    probability_of_false_stop: float


@dataclass(frozen=True)
class Keep:
    """The other answer: keep the best checkpoint of this run instead of training again.

    Attributes:
        epoch: Where that checkpoint is.
        eval_loss: Its loss, as logged: the lowest of several, so in part by luck.
        expected_eval_loss: Its loss with that luck taken off. None without an eval loss.
        expected_gain_percent: Of the recommended run over that, in percent of the loss; negative
            where training again is expected to end worse. None as above, and where losses are at
            or below zero.
        gain_interval_percent: 90 % interval of that; None as above.
    """

    epoch: float
    eval_loss: float
    expected_eval_loss: float | None
    expected_gain_percent: float | None
    gain_interval_percent: tuple[float, float] | None


@dataclass(frozen=True)
class Scenario:
    """One way in which the next run may go.

    Attributes:
        name: `"normal convergence"`, `"continued improvement"` or `"early convergence"`.
        probability: Of this scenario.
        best_epoch: Median epoch of the best evaluation in it; None when it never happens.
        stop_epoch: Median epoch at which the run ends or is stopped; None as above.
    """

    name: str
    probability: float
    best_epoch: float | None
    stop_epoch: float | None


@dataclass(frozen=True)
class EpochForecast:
    """The best eval loss of a run of so many epochs with its own schedule, as a 90 % interval."""

    epochs: float
    median: float
    low: float
    high: float


@dataclass(frozen=True, eq=False, repr=False)
class Advice(Plottable):
    """The answer. Its attributes are the fields of the JSON of `ftadvise analyze --format json`.

    `run`, `fit` and `ahead` (the forecast of this run up to its planned end) are there for
    drawing, and are not part of the JSON.
    """

    run: Run
    fit: Fit
    observed: Observed
    overfitting: Overfitting
    recommendation: Recommendation
    keep: Keep
    scenarios: tuple[Scenario, ...]
    forecast: tuple[EpochForecast, ...]
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    ahead: tuple[Forecast, ...] = ()

    def __repr__(self) -> str:
        advised = self.recommendation
        return (
            f"Advice(num_train_epochs={advised.num_train_epochs}, "
            f"early_stopping_patience={advised.early_stopping_patience}, "
            f"early_stopping_threshold={advised.early_stopping_threshold}, "
            f"overfitting={self.overfitting.status!r}, findings={len(self.findings)}, "
            f"run={self.run!r})"
        )

    @property
    def source(self) -> dict[str, str]:
        """Path, format and name of the run."""
        source = self.run.source
        return {"path": source.path, "format": source.format, "run": source.run}

    @property
    def num_train_epochs(self) -> int:
        """Epochs for the next run."""
        return self.recommendation.num_train_epochs

    def to_dict(self) -> dict[str, Any]:
        """Return the advice in the schema `ftadvise.advice/1`, strict JSON: no NaN, no infinity."""
        kept = (
            "observed",
            "overfitting",
            "recommendation",
            "keep",
            "scenarios",
            "forecast",
            "findings",
        )
        body = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name in kept}
        return {
            "schema": SCHEMA,
            "source": self.source,
            "observed": body["observed"],
            "overfitting": body["overfitting"],
            "recommendation": body["recommendation"],
            "keep": body["keep"],
            "scenarios": body["scenarios"],
            "forecast": body["forecast"],
            "reasons": list(self.reasons),
            "findings": body["findings"],
        }


def _plain(value: Any) -> Any:
    """Turn dataclasses and tuples into dicts and lists, and what is not finite into None."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(part) for name, part in asdict(value).items()}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    number = float(value)
    return number if math.isfinite(number) else None
