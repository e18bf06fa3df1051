"""Run -> Fit: the posterior over laws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import five_numbers, make_run, series, true_loss
from scipy.optimize import least_squares

from ftadvise.errors import LogError
from ftadvise.fitting import fit
from ftadvise.noise import relative_noise
from ftadvise.run import FloatArray, Run, Series, as_floats
from ftadvise.schedules import Schedule
from ftadvise.thinning import MOST_POINTS, observed_points


def test_the_fit_finds_the_same_curve_as_least_squares_on_the_law_that_made_it() -> None:
    run = make_run(evals=20, rise=0.06, noise=0.003)
    points = observed_points(run, "eval")
    progress = Schedule("linear").progress(points.epoch, 5.0)

    def residual(p: FloatArray) -> Any:
        return (
            p[0] + p[1] * (progress + abs(p[2])) ** -abs(p[3]) + p[4] * progress
        ) / points.loss - 1

    oracle = points.loss * (1 + least_squares(residual, [1.0, 0.5, 0.3, 1.0, 0.0]).fun)
    ours = np.median(fit(run).smoothed(), axis=0)
    np.testing.assert_allclose(ours, oracle, rtol=0.006)


def test_the_true_curve_lies_in_the_ninety_percent_band_about_as_often_as_it_should() -> None:
    inside = []
    for seed in range(60):
        run = make_run(evals=10, rise=0.05, noise=0.006, seed=seed)
        truth = true_loss(run.eval.epoch, 5.0, 0.05, Schedule("linear"))
        low, high = np.quantile(fit(run).smoothed(), [0.05, 0.95], axis=0)
        inside.append(np.mean((low <= truth) & (truth <= high)))
    assert 0.84 <= np.mean(inside) <= 0.995


@given(power=st.integers(-8, 8))
def test_losses_in_another_unit_give_the_same_curves_in_that_unit(power: int) -> None:
    scale = 2.0**power
    at = np.array([1.0, 4.0, 9.0])
    here, there = fit(make_run(noise=0.01)), fit(make_run(noise=0.01, scale=scale))
    np.testing.assert_allclose(there.curves(at, 9.0), scale * here.curves(at, 9.0), rtol=1e-9)


def test_the_shares_of_the_laws_add_up_to_one_and_the_largest_comes_first() -> None:
    shares = [law.share for law in fit(make_run()).laws]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)


def test_a_curve_that_rises_with_the_passes_over_the_data_is_explained_by_overfitting() -> None:
    shares = {law.name: law.share for law in fit(make_run(evals=20, rise=0.15)).laws}
    assert shares["overfitting"] + shares["full"] > 0.99


def test_five_points_give_a_wide_interval_and_more_points_a_narrower_one() -> None:
    def width(run: Run) -> float:
        low, high = np.quantile(fit(run).curves(np.array([10.0]), 10.0), [0.05, 0.95])
        return float(high - low)

    few, many = make_run(evals=5, noise=0.01), make_run(evals=40, noise=0.01)
    assert width(few) > width(many)
    assert fit(five_numbers()).target == "train"


def test_a_hundred_thousand_points_are_thinned_without_losing_the_curve() -> None:
    epoch = np.linspace(5e-5, 5.0, 100_000)
    rng = np.random.default_rng(0)
    truth = true_loss(epoch, 5.0, 0.0, Schedule("constant"))
    run = Run(train=series("loss", epoch, truth * (1 + 0.1 * rng.standard_normal(epoch.size))))
    fitted = fit(run)
    assert fitted.points.loss.size <= MOST_POINTS
    assert fitted.points.count.sum() == 100_000
    middle = np.median(fitted.smoothed(), axis=0)
    expected = true_loss(fitted.points.epoch, 5.0, 0.0, Schedule("constant"))
    np.testing.assert_allclose(middle[5:], expected[5:], rtol=0.02)


def test_the_eval_loss_is_fitted_when_there_are_two_of_them_and_else_the_train_loss() -> None:
    run = make_run()
    assert fit(run).target == "eval"
    assert fit(replace(run, eval=run.eval.take(slice(0, 1)))).target == "train"
    assert fit(replace(run, train=Series())).target == "eval"


def test_holes_and_infinities_in_the_log_are_left_out_of_the_fit() -> None:
    run = make_run(evals=12)
    loss = np.array(run.eval.loss)
    loss[[3, 7]] = [np.nan, np.inf]
    fitted = fit(replace(run, eval=replace(run.eval, loss=as_floats(loss))))
    assert fitted.points.loss.size == 10
    assert np.isfinite(fitted.smoothed()).all()


def test_losses_below_zero_are_fitted_like_any_others() -> None:
    run = make_run(evals=12)
    lowered = replace(run.eval, loss=as_floats(run.eval.loss - 3.0))
    fitted = fit(replace(run, eval=lowered))
    np.testing.assert_allclose(np.median(fitted.smoothed(), axis=0), lowered.loss, atol=0.05)


def test_a_log_with_one_loss_is_refused_with_a_hint() -> None:
    run = Run(train=series("loss", np.array([1.0]), np.array([2.0])))
    with pytest.raises(LogError, match="1 usable train") as caught:
        fit(run)
    assert caught.value.code == "FT405"
    assert caught.value.hint


def test_the_same_run_always_gives_the_same_draws() -> None:
    first, second = fit(make_run(noise=0.01)), fit(make_run(noise=0.01))
    np.testing.assert_array_equal(first.smoothed(), second.smoothed())


def test_past_runs_pull_the_noise_towards_theirs() -> None:
    calm, wild = make_run(evals=8, noise=0.001), make_run(evals=30, noise=0.05, seed=1)
    assert fit(calm, past=[wild]).noise > fit(calm).noise


@pytest.mark.parametrize("sigma", [0.005, 0.02, 0.08])
def test_noise_is_read_off_a_trending_curve(sigma: float) -> None:
    rng = np.random.default_rng(0)
    trend = 2.0 / (1 + np.arange(200.0)) + 1
    found = relative_noise(trend * (1 + sigma * rng.standard_normal(200)), "eval")
    assert found == pytest.approx(sigma, rel=0.3)


def test_fewer_than_six_points_say_nothing_about_noise() -> None:
    assert relative_noise(np.array([3.0, 1.0, 2.0, 9.0]), "eval") == 0.006


def test_an_axis_that_cannot_count_passes_over_data_is_refused() -> None:
    at = np.array([1e15, 2e15, 3e15])
    with pytest.raises(LogError, match="0 usable"):
        fit(Run(eval=series("eval_loss", at, np.array([3.0, 2.0, 1.0]))))
