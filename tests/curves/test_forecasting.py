"""Forecasts, the turning point and the live decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import five_numbers, make_run, series, true_loss

from ftadvise.fitting import fit
from ftadvise.forecasting import forecast, law_pull
from ftadvise.live import should_stop
from ftadvise.onset import onset
from ftadvise.run import Run
from ftadvise.schedules import Schedule


def first_evals(run: Run, count: int) -> Run:
    return replace(run, eval=run.eval.take(slice(0, count)))


def test_a_run_continued_is_forecast_with_an_interval_that_holds_its_end() -> None:
    held = []
    for seed in range(40):
        run = make_run(evals=10, rise=0.05, noise=0.005, seed=seed)
        found = forecast(first_evals(run, 5), at=5.0)
        held.append(found.low <= run.eval.loss[-1] <= found.high)
    assert np.mean(held) >= 0.85


def test_a_run_of_another_length_is_forecast_with_its_own_schedule() -> None:
    run = make_run(epochs=5.0, evals=20, rise=0.05)
    found = forecast(run, at=3.0, epochs=3.0)
    truth = true_loss(np.array([3.0]), 3.0, 0.05, Schedule("linear"))[0]
    assert found.low <= truth <= found.high
    assert found.median != pytest.approx(forecast(run, at=3.0).median, abs=1e-6)


def test_the_interval_widens_with_the_distance() -> None:
    run = first_evals(make_run(evals=10, noise=0.01), 6)
    widths = [(f := forecast(run, at=at)).high - f.low for at in (3.0, 3.5, 4.0, 5.0)]
    assert widths == sorted(widths)


@pytest.mark.parametrize("epochs", [None, 8.0])
def test_one_wild_evaluation_does_not_set_the_forecast(epochs: float | None) -> None:
    calm = make_run(epochs=5.0, evals=10)
    loss = calm.eval.loss.copy()
    loss[4] = 50_000.0
    wild = replace(calm, eval=replace(calm.eval, loss=loss))
    usual, found = (forecast(run, at=6.0, epochs=epochs) for run in (calm, wild))
    assert found.median == pytest.approx(usual.median, rel=0.1)
    assert found.high < 2 * usual.high


def test_an_epoch_beyond_the_end_of_a_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no epoch 10"):
        forecast(make_run(), at=10, epochs=3)


@pytest.mark.parametrize(("at", "epochs"), [(0.0, None), (-1.0, None), (1.0, 0.0)])
def test_epochs_that_are_not_positive_are_refused(at: float, epochs: float | None) -> None:
    with pytest.raises(ValueError, match="positive"):
        forecast(make_run(), at=at, epochs=epochs)


def test_a_clear_rise_is_detected_where_it_begins() -> None:
    run = make_run(epochs=8.0, evals=16, rise=0.12, noise=0.002, kind="constant")
    truth = run.eval.epoch[np.argmin(true_loss(run.eval.epoch, 8.0, 0.12, Schedule()))]
    found = onset(fit(run))
    assert found.status == "detected"
    assert found.interval is not None
    assert found.interval[0] <= truth <= found.interval[1]
    assert found.onset_epoch is not None
    assert found.onset_epoch > truth - 1.0


def test_a_curve_that_falls_to_the_end_shows_no_overfitting() -> None:
    found = onset(fit(make_run(evals=12)))
    assert (found.status, found.onset_epoch, found.interval) == ("none", None, None)


def test_a_flat_and_noisy_curve_is_not_decided() -> None:
    rng = np.random.default_rng(3)
    at = np.arange(1.0, 4.0)
    run = Run(eval=series("eval_loss", at, 1.0 + 0.004 * rng.standard_normal(3)))
    assert onset(fit(run)).status in ("not identified", "suspected")


def test_a_train_loss_alone_can_make_one_suspect_overfitting_but_never_detects_it() -> None:
    found = onset(fit(five_numbers()))
    assert (found.status, found.onset_epoch) == ("suspected", 5.0)
    rising = Run(train=series("loss", np.arange(1.0, 9.0), np.arange(1.0, 9.0)))
    assert onset(fit(rising)).status == "suspected"


def test_a_forecast_of_what_was_seen_is_the_curve_behind_it() -> None:
    run = make_run(evals=10, noise=0.005)
    found = forecast(run, at=2.0)
    assert found.low < run.eval.loss[3] < found.high
    assert found.median == pytest.approx(float(run.eval.loss[3]), rel=0.03)


def test_a_forecast_starts_from_the_last_value() -> None:
    run = make_run(evals=10, rise=0.05, noise=0.005)
    near = forecast(replace(run, planned_epochs=20.0), at=5.0001)
    assert near.median == pytest.approx(float(run.eval.loss[-1]), rel=1e-3)


def test_losses_below_zero_are_forecast_too() -> None:
    run = make_run(evals=10)
    below = replace(run, eval=replace(run.eval, loss=run.eval.loss - 5.0))
    found = forecast(first_evals(below, 6), at=5.0)
    assert found.low < found.median < found.high < 0


@pytest.mark.parametrize("foreseen", [-20.0, -0.01, 0.0, 0.01, 20.0])
def test_a_law_that_extrapolates_wildly_is_held_back(foreseen: float) -> None:
    pull = law_pull(foreseen)
    assert abs(pull) <= 0.5
    assert pull == pytest.approx(foreseen, rel=0.01) or abs(foreseen) > 1


@settings(max_examples=40, deadline=None)
@given(losses=st.lists(st.floats(0.01, 100.0), min_size=2, max_size=30))
def test_any_curve_has_finite_forecasts_and_a_decision(losses: list[float]) -> None:
    at = np.arange(1.0, len(losses) + 1.0)
    run = Run(eval=series("eval_loss", at, np.array(losses)))
    found = forecast(run, at=float(at[-1]) + 2)
    assert np.isfinite([found.low, found.median, found.high]).all()
    assert found.low <= found.median <= found.high
    assert 0.0 <= should_stop(run).probability_of_improvement <= 1.0
