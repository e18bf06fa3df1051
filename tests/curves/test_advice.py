"""Fit -> Advice: epochs, patience, threshold, cadence and scenarios."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import five_numbers, make_run, series

from ftadvise.advising import advise
from ftadvise.fitting import fit
from ftadvise.patience import MOST_EVALS, choose_rule, false_stops, rehearse
from ftadvise.run import FloatArray, LearningRates, Run, Series, as_floats
from ftadvise.stopping import transformers_stop


@pytest.mark.parametrize(("scale", "per_epoch"), [(1.0, 24), (3.0, 50)])
def test_five_train_losses_of_five_epochs_lead_to_six_epochs_and_patience_three(
    scale: float, per_epoch: int
) -> None:
    advice = advise(five_numbers(scale, per_epoch))
    assert advice.observed.loss_reduction_percent == pytest.approx(98.8, abs=0.05)
    assert advice.observed.best_epoch == 4.60
    assert (advice.overfitting.status, advice.overfitting.onset_epoch) == ("suspected", 5.0)
    chosen = advice.recommendation
    assert chosen.num_train_epochs == 6
    assert chosen.epochs_range == (6, 7)
    assert chosen.early_stopping_patience == 3
    assert (chosen.eval_strategy, chosen.eval_steps) == ("steps", per_epoch)
    assert (chosen.save_strategy, chosen.save_steps) == ("steps", per_epoch)
    assert chosen.save_total_limit == 5
    assert chosen.load_best_model_at_end
    names = {"normal convergence", "continued improvement", "early convergence"}
    assert {s.name for s in advice.scenarios} == names


def test_the_findings_on_five_losses_say_how_weak_they_are() -> None:
    findings = {f.code: f.message for f in advise(five_numbers()).findings}
    assert "weak evidence" in findings["FT201"]
    assert "4" in findings["FT201"]
    assert "0.001" in findings["FT302"]
    assert "2.9 %" in findings["FT302"]
    assert "cannot fire before epoch 8" in findings["FT301"]
    assert "another curve" in findings["FT207"]


@given(power=st.integers(-6, 6))
@settings(max_examples=8, deadline=None)
def test_losses_in_another_unit_change_the_threshold_in_that_unit_and_nothing_else(
    power: int,
) -> None:
    here = advise(make_run(noise=0.01, rise=0.05)).recommendation
    there = advise(make_run(noise=0.01, rise=0.05, scale=2.0**power)).recommendation
    assert there.num_train_epochs == here.num_train_epochs
    assert there.early_stopping_patience == here.early_stopping_patience
    assert there.expected_eval_loss == pytest.approx(2.0**power * here.expected_eval_loss)


def test_a_run_that_overfits_early_is_answered_with_fewer_epochs_than_one_that_does_not() -> None:
    early = advise(make_run(epochs=10.0, evals=20, rise=0.15, noise=0.003))
    late = advise(make_run(epochs=10.0, evals=20, rise=0.005, noise=0.003))
    assert early.num_train_epochs < late.num_train_epochs


def test_noisier_evaluations_ask_for_more_patience() -> None:
    calm = advise(make_run(epochs=6.0, evals=30, noise=0.0005))
    wild = advise(make_run(epochs=6.0, evals=30, noise=0.05, seed=2))
    assert (
        calm.recommendation.early_stopping_patience < wild.recommendation.early_stopping_patience
    )


def test_the_probability_of_a_false_stop_is_counted_on_the_exact_rule() -> None:
    fitted = fit(make_run(evals=12, noise=0.02))
    rehearsal = rehearse(fitted, 6, 2)
    stops = transformers_stop(rehearsal.logged, 1, 0.0)
    wrong = 0
    for curve, logged, stop in zip(rehearsal.curves, rehearsal.logged, stops, strict=True):
        kept = int(np.argmin(logged[:stop]))
        later = curve[stop:]
        wrong += bool(later.size and later.min() < 0.995 * curve[kept])
    assert false_stops(rehearsal, 1, 0.0) == pytest.approx(wrong / len(stops))


def test_the_threshold_stays_below_the_noise_and_the_gain_of_an_evaluation() -> None:
    fitted = fit(make_run(evals=12, noise=0.02))
    rehearsal = rehearse(fitted, 6, 1)
    rule = choose_rule(fitted, rehearsal, rehearse(fitted, 12, 1))
    level = float(np.median(rehearsal.curves.min(axis=1)))
    assert 0 <= rule.threshold <= 0.25 * fitted.noise * level
    assert rule.gain_per_eval == 0 or rule.threshold <= 0.25 * rule.gain_per_eval


def test_short_runs_are_evaluated_more_often_than_once_an_epoch() -> None:
    advice = advise(make_run(epochs=2.0, evals=12, rise=0.3))
    chosen = advice.recommendation
    assert chosen.num_train_epochs <= 3
    assert chosen.eval_steps is not None
    assert chosen.num_train_epochs * 100 / chosen.eval_steps >= 6


def test_without_steps_the_cadence_is_once_an_epoch() -> None:
    run = make_run()
    unknown = np.full(len(run.eval), np.nan)
    bare = replace(run, eval=replace(run.eval, step=unknown), train=Series(), lr=LearningRates())
    chosen = advise(bare).recommendation
    assert (chosen.eval_strategy, chosen.eval_steps) == ("epoch", None)


@settings(max_examples=30, deadline=None)
@given(
    losses=st.lists(st.floats(-5.0, 100.0) | st.just(float("nan")), min_size=4, max_size=40),
    spread=st.floats(0.01, 30.0),
)
def test_any_curve_gets_an_answer_in_strict_json(losses: list[float], spread: float) -> None:
    if np.isfinite(losses).sum() < 2:
        return
    at = spread * np.arange(1.0, len(losses) + 1.0)
    advice = advise(Run(eval=series("eval_loss", at, np.array(losses))))
    text = json.dumps(advice.to_dict(), allow_nan=False)
    assert json.loads(text)["schema"] == "ftadvise.advice/1"
    chosen = advice.recommendation
    assert chosen.num_train_epochs >= 1
    assert chosen.epochs_range[0] <= chosen.num_train_epochs <= chosen.epochs_range[1]
    assert chosen.early_stopping_patience >= 2
    assert sum(s.probability for s in advice.scenarios) == pytest.approx(1.0)


def test_a_curve_that_explodes_is_never_promised_a_loss_below_zero() -> None:
    at = np.arange(1.0, 11.0)
    loss = np.where(at < 6, 1.8 - 0.08 * at, 10.0 ** (3 * at - 15))
    advice = advise(Run(eval=series("eval_loss", at, loss)))
    assert all(f.low >= 0 for f in advice.forecast)
    assert 0 <= advice.recommendation.expected_eval_loss < 10
    assert any(finding.code == "FT204" for finding in advice.findings)


def test_a_loss_that_reaches_zero_is_not_promised_to_go_below_it() -> None:
    at = np.arange(1.0, 9.0)
    advice = advise(Run(eval=series("eval_loss", at, np.maximum(0.0, 1.0 - 0.2 * at))))
    assert min(f.low for f in advice.forecast) == 0


def test_a_loss_too_large_to_square_still_gets_finite_advice() -> None:
    at = np.arange(1.0, 9.0)
    advice = advise(Run(eval=series("eval_loss", at, 1e200 * (1.0 + 1.0 / at))))
    assert np.isfinite(advice.recommendation.expected_eval_loss)


@pytest.mark.parametrize("loss", [np.full(8, 1.5), 1.0 + np.geomspace(1.0, 0.01, 8)])
def test_a_curve_that_ends_at_its_lowest_point_is_not_said_to_overfit(loss: FloatArray) -> None:
    advice = advise(Run(eval=series("eval_loss", np.arange(1.0, 9.0), loss)))
    assert advice.overfitting.status in ("none", "not identified")
    assert advice.overfitting.onset_epoch is None


def test_without_steps_per_epoch_patience_counts_whole_epochs() -> None:
    at = np.array([1.0, 2.0, 3.0])
    loss = np.array([1.5, 1.4, 1.45])
    advice = advise(Run(eval=Series("eval_loss", np.full(3, np.nan), at, loss)))
    assert advice.recommendation.eval_strategy == "epoch"
    known = (s.stop_epoch for s in advice.scenarios if s.stop_epoch is not None)
    assert all(stop == int(stop) for stop in known)


def test_a_run_of_very_many_epochs_is_rehearsed_with_a_bounded_number_of_evaluations() -> None:
    rehearsal = rehearse(fit(make_run()), 100_000, 1)
    assert rehearsal.epochs.size <= MOST_EVALS
    assert rehearsal.epochs[-1] == pytest.approx(100_000)


@pytest.mark.parametrize("factor", [5.0, 1000.0])
def test_one_wild_evaluation_does_not_set_the_level_of_the_answer(factor: float) -> None:
    run = make_run(evals=20, noise=0.002)
    loss = np.array(run.eval.loss)
    loss[7] *= factor
    spiked = replace(run, eval=replace(run.eval, loss=as_floats(loss)))
    here, there = advise(run).recommendation, advise(spiked).recommendation
    assert there.expected_eval_loss == pytest.approx(here.expected_eval_loss, rel=0.02)


def test_without_train_loss_no_longer_run_than_the_habit_allows_follows_detected_overfitting() -> (
    None
):
    run = make_run(epochs=10.0, evals=20, rise=0.15, noise=0.002, train=False)
    advice = advise(run)
    assert advice.overfitting.status == "detected"
    assert advice.num_train_epochs <= np.ceil(advice.observed.best_epoch) + 2


def test_where_no_patience_is_safe_the_advice_is_one_that_never_fires() -> None:
    advice = advise(make_run(epochs=60.0, evals=60, noise=0.25, seed=5, kind="constant"))
    chosen = advice.recommendation
    assert chosen.probability_of_false_stop <= 0.05
    if chosen.early_stopping_patience > 30:
        assert chosen.early_stopping_patience >= chosen.num_train_epochs
        assert any("never fires" in reason for reason in advice.reasons)
