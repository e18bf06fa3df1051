"""Where the best number of epochs lies, and what runs of other lengths reach."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import make_run, series

from ftadvise import advise, fit
from ftadvise.fitting import Fit
from ftadvise.gap import gap_features
from ftadvise.lengths import another_run, lengths
from ftadvise.optimum import STRANGE_SPREAD, Optimum, agreed, optimum
from ftadvise.priors import load
from ftadvise.run import LearningRates, Run, Series, as_floats
from ftadvise.thinning import observed_points


def memorising(epochs: float, gap: float, evals_per_epoch: int = 2) -> Run:
    """Return a run whose train loss falls below its eval loss by `gap` (log) an epoch."""
    at = np.arange(1, round(epochs * evals_per_epoch) + 1) / evals_per_epoch
    eval_loss = 1.0 + 1.5 / (1.0 + 2.0 * at) + 0.002 * at**2
    train_loss = (1.0 + 1.5 / (1.0 + 2.0 * at)) * np.exp(-gap * np.maximum(at - 1.0, 0.0))
    rates = make_run(epochs=epochs).lr
    return Run(
        train=series("loss", at, train_loss),
        eval=series("eval_loss", at, eval_loss),
        lr=rates,
        planned_epochs=epochs,
    )


def scaled(run: Run, factor: float) -> Run:
    def times(one: Series) -> Series:
        return replace(one, loss=as_floats(factor * one.loss))

    return replace(run, train=times(run.train), eval=times(run.eval))


def test_the_features_of_a_run_by_hand() -> None:
    at = np.array([1.0, 2.0, 3.0, 4.0])
    run = Run(
        train=series("loss", at, np.array([3.0, 2.0, 1.0, 0.5])),
        eval=series("eval_loss", at, np.array([2.0, 1.5, 1.0, 1.2])),
    )
    found = gap_features(run)
    assert found is not None
    assert found["gap_end"] == pytest.approx(math.log(0.5 / 1.2))
    assert found["gap_best"] == pytest.approx(math.log(1.0 / 1.0))
    assert found["gap_half"] == pytest.approx(math.log(2.0 / 1.5))
    assert found["late"] == pytest.approx(math.log(1.2 / 1.5))
    assert found["rise"] == pytest.approx(math.log(1.2))
    assert found["train_fall"] == pytest.approx(math.log(0.5))
    assert found["best"] == pytest.approx(math.log(3 / 4), abs=0.01)


@given(st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_the_features_do_not_depend_on_the_unit_of_the_loss(factor: float) -> None:
    run = memorising(5.0, 0.2)
    one, other = gap_features(run), gap_features(scaled(run, factor))
    assert one is not None
    assert one == pytest.approx(other, abs=1e-9)


@pytest.mark.parametrize(
    "run",
    [make_run(train=False), make_run(evals=2), replace(make_run(), eval=Series())],
    ids=["no train loss", "two evals", "no eval loss"],
)
def test_without_the_gap_nothing_learned_is_used(run: Run) -> None:
    assert gap_features(run) is None
    assert fit(run).optimum is None


def test_a_run_that_was_broken_off_is_asked_as_if_its_rate_had_come_down() -> None:
    run = memorising(5.0, 0.2)
    rates = make_run(epochs=10.0).lr
    half = slice(len(rates) // 2)
    logged = LearningRates(rates.key, rates.step[half], rates.epoch[half], rates.rate[half])
    whole, broken_off = (
        fit(one).optimum for one in (run, replace(run, lr=logged, planned_epochs=10.0))
    )
    assert whole is not None
    assert broken_off == whole


def test_the_faster_a_run_memorises_the_shorter_the_next_one_is() -> None:
    slow, fast = (optimum(memorising(5.0, gap), False, 4.0) for gap in (0.05, 0.5))
    assert slow is not None
    assert fast is not None
    assert fast.log_epochs < slow.log_epochs - 0.2


def test_a_log_unlike_all_that_was_learned_from_is_answered_by_the_habit() -> None:
    run = memorising(5.0, 20.0)
    found = optimum(run, False, 4.0)
    assert found is not None
    assert found.trust < 0.1
    assert found.log_epochs == pytest.approx(math.log(5.0), abs=0.15)
    assert found.spread > 0.9 * STRANGE_SPREAD
    assert any("unlike the fine-tunes" in reason for reason in advise(run).reasons)


def test_a_loss_that_still_falls_by_a_third_is_never_followed_by_a_shorter_run() -> None:
    at = np.arange(1, 11) / 2
    run = Run(
        train=series("loss", at, 3.0 * np.exp(-1.2 * at)),
        eval=series("eval_loss", at, 3.0 * np.exp(-0.4 * at)),
        lr=make_run(epochs=5.0).lr,
        planned_epochs=5.0,
    )
    found = optimum(run, False, 5.0)
    assert found is not None
    assert found.log_epochs >= math.log(6.0) - 1e-9


def test_the_shipped_constants_say_where_they_come_from() -> None:
    provenance = load("horizon")["provenance"]
    assert provenance["fine_tunes"] > 100
    assert len(provenance["data_sets"]) > 10
    assert "learn_horizon.py" in provenance["made_by"]


def test_two_logs_that_agree_make_the_optimum_surer() -> None:
    one = Optimum(1.0, 0.3, 1.0)
    both = agreed([one, one])
    assert both.log_epochs == pytest.approx(1.0)
    assert 0.2 < both.spread < 0.3


def test_a_run_as_long_as_the_one_in_hand_ends_where_that_ended() -> None:
    run = memorising(5.0, 0.2)
    fitted = fit(run)
    ends = lengths(fitted).curves(np.linspace(0.05, 1.0, 40), 5.0).min(axis=1)
    assert np.median(ends) == pytest.approx(observed_points(run, "eval").loss.min(), rel=0.01)


def test_the_best_of_all_lengths_lies_where_the_optimum_says() -> None:
    fitted = fit(memorising(5.0, 0.2))
    assert fitted.optimum is not None
    candidates = np.arange(1.0, 21.0)
    best = np.stack(
        [another_run(fitted, e * np.arange(1, 25) / 24, e).min(axis=1) for e in candidates]
    )
    middle = float(np.median(np.log(candidates[best.argmin(axis=0)])))
    assert middle == pytest.approx(fitted.optimum.log_epochs, abs=0.2)


def test_what_another_length_of_the_same_fine_tune_reached_is_believed() -> None:
    run, longer = memorising(5.0, 0.2), memorising(8.0, 0.2)
    better = scaled(longer, 0.93)
    alone, told = fit(run), fit(run, past=[better])
    assert len(told.peers) == 1

    def median(fitted: Fit) -> float:
        return float(np.median(another_run(fitted, 8.0 * np.arange(1, 25) / 24, 8.0).min(axis=1)))

    reached = float(better.eval.loss.min())
    assert abs(median(told) - reached) < abs(median(alone) - reached)


def test_a_dearer_epoch_is_never_answered_by_a_longer_run() -> None:
    run = memorising(5.0, 0.1)
    chosen = [advise(run, price=price).num_train_epochs for price in (0.0, 0.01, 0.05, 0.5)]
    assert chosen == sorted(chosen, reverse=True)
    assert chosen[-1] == 1


def test_both_answers_are_given_train_again_and_keep() -> None:
    advice = advise(memorising(5.0, 0.2))
    assert advice.keep.epoch == advice.observed.best_epoch
    assert advice.keep.eval_loss == advice.observed.best_eval_loss
    assert advice.keep.gain_interval_percent is not None
    low, high = advice.keep.gain_interval_percent
    assert advice.keep.expected_gain_percent is not None
    assert low <= advice.keep.expected_gain_percent <= high
