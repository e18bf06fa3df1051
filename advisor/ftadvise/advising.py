"""`advise`: from a run to the whole answer. Each step is a room of its own; this joins them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ftadvise.advice import (
    Advice,
    EpochForecast,
    Keep,
    Observed,
    Overfitting,
    Recommendation,
)
from ftadvise.calm import calmed
from ftadvise.carrying import Change, carried, differences
from ftadvise.errors import UsageError
from ftadvise.fitting import Fit, fit
from ftadvise.forecasting import Forecast, forecast_from
from ftadvise.horizon import Horizons, choose_epochs
from ftadvise.keeping import compare
from ftadvise.onset import onset
from ftadvise.patience import (
    Rehearsal,
    StopRule,
    checkpoints_to_keep,
    choose_rule,
    evals_per_epoch,
    rehearse,
)
from ftadvise.plugin_faults import FAULTS
from ftadvise.reasons import reasons
from ftadvise.rules import all_rules
from ftadvise.rules.case import LEVELS, Case, Finding
from ftadvise.run import Run, Settings
from ftadvise.scenarios import scenarios
from ftadvise.thinning import epochs_of

SHOWN_FORECASTS = 12
AHEAD_POINTS = 8


def advise(
    run: Run,
    past: tuple[Run, ...] | list[Run] = (),
    price: float | None = None,
    change: Change | None = None,
) -> Advice:
    """Say what happened in a run and how to set up the next one.

    Args:
        run: The run, from `ftadvise.read`.
        past: Earlier runs. Those of the same fine-tune say together with this one how many epochs
            the next should have; all of them sharpen the noise estimate.
        price: What one more epoch has to gain, as a share of the loss; None for the
            one-standard-error rule.
        change: What will be other than in this run: the data, the model, the learning rate.

    Raises:
        LogError: FT405 when the run has fewer than two finite losses.
        UsageError: FT411 when the price is negative or no number.
    """
    if price is not None and not (math.isfinite(price) and price >= 0):
        raise UsageError(f"the price of an epoch must be a number from 0 up, but it is {price}")
    fitted = fit(run, past)
    if change is not None and fitted.optimum is not None and differences(change):
        # What other lengths of this fine-tune reached says nothing of where that of another lies.
        fitted = replace(fitted, optimum=carried(fitted.optimum, change), peers=())
    seen = _observed(fitted)
    turning = onset(fitted)
    calm = calmed(fitted)
    horizons = choose_epochs(calm, seen.best_epoch, turning.status == "detected", price)
    # Without steps per epoch the only cadence that can be set up is once an epoch.
    per_epoch = evals_per_epoch(horizons.chosen) if fitted.run.steps_per_epoch else 1
    rehearsal = rehearse(calm, horizons.chosen, per_epoch)
    rule = choose_rule(calm, rehearsal, rehearse(calm, 2 * horizons.chosen, per_epoch))
    keep = checkpoints_to_keep(rehearsal)
    recommended = _recommendation(fitted, horizons, rule, per_epoch, keep)
    best = _next_best(rehearsal, seen.best_epoch, horizons.by_habit)
    settings = _settings(recommended)
    case = Case(run, fitted, turning, _used(run), settings, rule.gain_per_eval, best)
    return Advice(
        run=run,
        fit=fitted,
        observed=seen,
        overfitting=Overfitting(
            turning.status, turning.onset_epoch, turning.interval, turning.probability
        ),
        recommendation=recommended,
        keep=_keep(fitted, seen, horizons),
        scenarios=scenarios(rehearsal, rule),
        forecast=_forecasts(horizons),
        reasons=reasons(fitted, seen, turning, horizons, recommended),
        findings=_findings(case),
        ahead=_ahead(fitted),
    )


def _observed(fitted: Fit) -> Observed:
    series = fitted.series.finite()
    epochs = epochs_of(fitted.run, fitted.series)[np.isfinite(fitted.series.loss)]
    lowest = int(np.argmin(series.loss))
    first, best = float(series.loss[0]), float(series.loss[lowest])
    named = fitted.run.settings.lr_scheduler_type
    reduction = 100.0 * (first - best) / abs(first) if first else 0.0
    return Observed(
        train_points=int(np.isfinite(fitted.run.train.loss).sum()),
        eval_points=int(np.isfinite(fitted.run.eval.loss).sum()),
        epochs=float(epochs[-1]),
        steps_per_epoch=fitted.run.steps_per_epoch,
        lr_schedule=fitted.schedule.kind if fitted.schedule.known else named,
        first_loss=first,
        best_eval_loss=best,
        best_epoch=float(epochs[lowest]),
        last_eval_loss=float(series.loss[-1]),
        loss_reduction_percent=reduction,
        eval_noise=fitted.noise,
    )


def _next_best(rehearsal: Rehearsal, seen: float, by_habit: bool) -> float:
    """Return the epoch of the best evaluation to expect: as seen where only the habit is left."""
    if by_habit:
        return float(rehearsal.epochs[np.searchsorted(rehearsal.epochs[:-1], seen - 1e-9)])
    return float(np.median(rehearsal.epochs[rehearsal.curves.argmin(axis=1)]))


def _recommendation(
    fitted: Fit, horizons: Horizons, rule: StopRule, per_epoch: int, keep: int
) -> Recommendation:
    steps = fitted.run.steps_per_epoch
    every = max(1, round(steps / per_epoch)) if steps else None
    strategy = "steps" if every else "epoch"
    expected = float(horizons.median[horizons.epochs == horizons.chosen][0])
    return Recommendation(
        num_train_epochs=horizons.chosen,
        epochs_range=horizons.near,
        eval_strategy=strategy,
        eval_steps=every,
        save_strategy=strategy,
        save_steps=every,
        save_total_limit=keep,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        early_stopping_patience=rule.patience,
        early_stopping_threshold=rule.threshold,
        expected_eval_loss=expected,
        probability_of_false_stop=rule.false_stop,
    )


def _keep(fitted: Fit, seen: Observed, horizons: Horizons) -> Keep:
    if horizons.by_habit:
        return Keep(seen.best_epoch, seen.best_eval_loss, None, None, None)
    found = compare(fitted, seen.best_epoch, seen.best_eval_loss, horizons.kept)
    if found.gain is None:
        return Keep(seen.best_epoch, seen.best_eval_loss, found.expected, None, None)
    low, middle, high = (100.0 * gain for gain in found.gain)
    return Keep(seen.best_epoch, seen.best_eval_loss, found.expected, middle, (low, high))


def _used(run: Run) -> Settings:
    if run.settings.num_train_epochs is None and run.planned_epochs:
        return replace(run.settings, num_train_epochs=run.planned_epochs)
    return run.settings


def _settings(recommended: Recommendation) -> Settings:
    return Settings(
        num_train_epochs=float(recommended.num_train_epochs),
        eval_steps=recommended.eval_steps,
        save_steps=recommended.save_steps,
        save_total_limit=recommended.save_total_limit,
        load_best_model_at_end=recommended.load_best_model_at_end,
        early_stopping_patience=recommended.early_stopping_patience,
        early_stopping_threshold=recommended.early_stopping_threshold,
    )


def _forecasts(horizons: Horizons) -> tuple[EpochForecast, ...]:
    """Return the candidates nearest to the chosen one, as many as people like to read."""
    place = int(np.flatnonzero(horizons.epochs == horizons.chosen)[0])
    start = max(0, min(place - SHOWN_FORECASTS // 2, horizons.epochs.size - SHOWN_FORECASTS))
    rows = range(start, min(start + SHOWN_FORECASTS, horizons.epochs.size))
    return tuple(
        EpochForecast(
            float(horizons.epochs[i]),
            float(horizons.median[i]),
            float(horizons.low[i]),
            float(horizons.high[i]),
        )
        for i in rows
    )


def _findings(case: Case) -> tuple[Finding, ...]:
    """Ask every rule; one that fails becomes a finding about itself."""
    found: list[Finding] = []
    for rule in all_rules():
        try:
            found.extend(rule.check(case))
        except FAULTS as error:
            message = f"rule {rule.code} failed: {type(error).__name__}: {error}"
            found.append(Finding("FT902", "info", message, {}, "Report this to its author."))
    return tuple(sorted(found, key=lambda f: (LEVELS.index(f.level), f.code)))


def _ahead(fitted: Fit) -> tuple[Forecast, ...]:
    """Forecast this run to its planned end, or a quarter further when it has none ahead."""
    last = float(fitted.points.epoch[-1])
    planned = fitted.run.planned_epochs or 0.0
    end = planned if planned > 1.02 * last else 1.25 * last
    return tuple(forecast_from(fitted, at) for at in np.linspace(last, end, AHEAD_POINTS)[1:])
