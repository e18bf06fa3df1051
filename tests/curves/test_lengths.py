"""What runs of other lengths reach, and how far such a forecast may be off."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import make_run, series

from ftadvise import fit, forecast
from ftadvise.fitting import Fit
from ftadvise.lengths import (
    FADING,
    MOST_POWER,
    Lengths,
    another_run,
    doubt,
    expected_run,
    lengths,
    nearest,
    rise_power,
)
from ftadvise.priors import load
from ftadvise.run import FloatArray, Run, Series


def memorising(epochs: float, steepness: float = 0.002) -> Run:
    """Return a run with the gap of train and eval loss, so that its fit has an optimum."""
    at = np.arange(1, round(epochs * 2) + 1) / 2
    falling = 1.0 + 1.5 / (1.0 + 2.0 * at)
    return Run(
        train=series("loss", at, falling * np.exp(-0.2 * np.maximum(at - 1.0, 0.0))),
        eval=series("eval_loss", at, falling + steepness * at**2),
        lr=make_run(epochs=epochs).lr,
        planned_epochs=epochs,
    )


WITH_GAP = fit(memorising(5.0))
LAWS_ALONE = fit(replace(memorising(5.0), train=Series()))
BOTH = pytest.mark.parametrize("fitted", [WITH_GAP, LAWS_ALONE], ids=["learned", "laws"])


def lowest(fitted: Fit, epochs: float) -> FloatArray:
    times = epochs * np.arange(1, 25) / 24
    return np.asarray(another_run(fitted, times, epochs).min(axis=1), dtype=np.float64)


def width(fitted: Fit, epochs: float) -> float:
    low, high = np.quantile(np.log(lowest(fitted, epochs)), [0.05, 0.95])
    return float(high - low)


@BOTH
@given(near=st.floats(1.01, 30.0), further=st.floats(1.01, 5.0))
@settings(max_examples=30, deadline=None)
def test_the_doubt_grows_with_the_difference_in_length(
    fitted: Fit, near: float, further: float
) -> None:
    for way in (1.0, -1.0):
        closer, away = 5.0 * near**way, 5.0 * (near * further) ** way
        assert 0.0 < doubt(fitted, 5.0) < doubt(fitted, closer) < doubt(fitted, away)


@BOTH
@pytest.mark.parametrize("ladder", [(5.0, 8.0, 13.0, 21.0), (5.0, 3.0, 2.0, 1.0)])
def test_intervals_widen_with_the_difference_in_length(
    fitted: Fit, ladder: tuple[float, ...]
) -> None:
    widths = [width(fitted, epochs) for epochs in ladder]
    assert widths == sorted(widths)


@BOTH
def test_a_run_as_long_as_the_one_in_hand_stays_near_its_curve(fitted: Fit) -> None:
    again = np.median(another_run(fitted, fitted.points.epoch, 5.0), axis=0)
    assert again == pytest.approx(np.median(fitted.smoothed(), axis=0), rel=0.03)
    assert width(fitted, 5.0) < 0.06


@BOTH
def test_the_doubt_moves_a_draw_as_a_whole(fitted: Fit) -> None:
    times = 9.0 * np.arange(1, 10) / 9
    moved = np.log(another_run(fitted, times, 9.0) / expected_run(fitted, times, 9.0))
    assert np.ptp(moved, axis=1).max() < 1e-9
    assert moved.std() == pytest.approx(doubt(fitted, 9.0), rel=0.1)


def test_a_log_without_train_loss_leaves_more_doubt() -> None:
    for epochs in (1.0, 3.0, 8.0, 20.0):
        assert doubt(LAWS_ALONE, epochs) > doubt(WITH_GAP, epochs)


def test_the_log_of_another_length_narrows_the_forecast_of_lengths_near_it() -> None:
    told = fit(memorising(5.0), past=[memorising(10.0)])
    assert nearest(told, 9.0) == pytest.approx(math.log(0.9))
    assert doubt(told, 9.0) < doubt(WITH_GAP, 9.0)
    assert width(told, 9.0) < 0.8 * width(WITH_GAP, 9.0)


def test_the_stretch_is_whole_for_longer_runs_and_fades_for_shorter_ones() -> None:
    grid = np.linspace(-4.0, 4.0, 33)
    fraction = np.array([0.5, 1.0])
    loss = np.broadcast_to(grid[:, None, None], (33, 1, 2))  # says where it was looked up
    one = np.array([1.0])
    made = Lengths(grid, fraction, loss, np.array([0.5]), one, one, one)

    def looked_up(log_length: float) -> float:
        return float(made.shapes(np.array([1.0]), math.exp(log_length))[0, 0])

    assert looked_up(1.0) == pytest.approx(1.5)
    assert looked_up(2.0) == pytest.approx(2.5)
    assert looked_up(-1.0) == pytest.approx(-1.0 + 0.5 * math.exp(-2.0 / FADING))


STEEPNESS = pytest.mark.parametrize("steepness", [0.002, 0.005, 0.01, 0.03])


@STEEPNESS
def test_hardly_a_run_as_long_as_the_log_ends_above_its_end(steepness: float) -> None:
    fitted = fit(memorising(5.0, steepness))
    again = expected_run(fitted, np.array([5.0]), 5.0)[:, 0] / fitted.points.loss[-1]
    assert np.median(again) == pytest.approx(1.0, abs=0.06)
    assert np.quantile(again, 0.95) < 1.03


@STEEPNESS
def test_nine_of_ten_draws_that_rise_by_the_end_of_the_log_end_near_it(steepness: float) -> None:
    fitted = fit(memorising(5.0, steepness))
    shapes = lengths(fitted).shapes(np.arange(1, 25) / 24, 5.0)
    rising = shapes[:, -1] > 1.15 * shapes.min(axis=1)  # a power cannot lift a draw that falls
    off = np.log(expected_run(fitted, np.array([5.0]), 5.0)[:, 0] / fitted.smoothed()[:, -1])
    assert np.quantile(np.abs(off[rising]), 0.9) < 0.03


@pytest.mark.parametrize("epochs", [2.0, 5.0, 8.0, 20.0])
def test_the_lowest_loss_of_a_run_does_not_depend_on_how_it_rises_after_it(epochs: float) -> None:
    drawn = lengths(fit(memorising(5.0, 0.01)))
    shares = np.arange(1, 25) / 24
    assert np.ptp(drawn.power) > 0.1
    reached = drawn.scale * drawn.shapes(shares, epochs).min(axis=1)
    assert drawn.curves(shares, epochs).min(axis=1) == pytest.approx(reached, rel=1e-12)
    begun = np.array([0.02, 0.03])
    plain = drawn.scale[:, None] * drawn.shapes(begun, epochs)
    assert drawn.curves(begun, epochs) == pytest.approx(plain, rel=1e-12)


def test_a_power_acts_on_the_rise_above_the_lowest_loss_so_far() -> None:
    loss = np.broadcast_to(np.array([4.0, 2.0, 4.0]), (9, 1, 3))
    one = np.array([1.0])
    made = Lengths(
        np.linspace(-1.0, 1.0, 9), np.array([0.25, 0.5, 1.0]), loss, 0 * one, one, one, 2 * one
    )
    assert made.curves(np.array([0.25, 0.5, 1.0]), 1.0)[0] == pytest.approx([4.0, 2.0, 8.0])
    assert made.curves(one, 1.0)[0] == pytest.approx([8.0])  # whatever else is asked
    falling = np.array([0.01, 0.26, 0.3, 0.49])
    assert made.curves(falling, 1.0) == pytest.approx(made.shapes(falling, 1.0))


def test_draws_that_are_taken_keep_their_rise() -> None:
    drawn, shares = lengths(fit(memorising(5.0, 0.01))), np.array([0.5, 1.0])
    rows = np.array([7, 7, 300])
    assert np.array_equal(drawn.take(rows).curves(shares, 8.0), drawn.curves(shares, 8.0)[rows])


def test_the_power_is_one_for_draws_that_rise_as_observed_and_bounded_for_all_others() -> None:
    observed = np.array([[2.0, 1.0, 1.5], [2.0, 1.0, 1.5], [2.0, 1.5, 1.0], [2.0, 1.0, 9.0]])
    drawn = np.array([[3.0, 2.0, 3.0], [3.0, 1.0, 3.0], [3.0, 1.0, 3.0], [3.0, 2.0, 2.0]])
    power = rise_power(observed, drawn)
    assert power[0] == pytest.approx(1.0)
    assert power[0] > power[1] > power[2] > 0.0
    assert power[3] == MOST_POWER
    assert np.isfinite(rise_power(-observed, drawn)).all()


def test_a_log_that_has_not_risen_leaves_it_open_whether_a_longer_run_will() -> None:
    falls, rises = np.array([[3.0, 2.0, 1.0]]), np.array([[3.0, 1.0, 1.05]])
    assert 0.1 < rise_power(falls, rises)[0] < 0.3
    fitted = fit(memorising(3.0, 0.0))
    curves = expected_run(fitted, 12.0 * np.arange(1, 25) / 24, 12.0)
    assert 0.05 < np.mean(curves[:, -1] > 1.03 * curves.min(axis=1)) < 0.95


def test_a_longer_run_is_forecast_with_a_wider_interval_than_a_shorter_one() -> None:
    run = memorising(5.0)
    shorter, longer = (forecast(run, at=e, epochs=e) for e in (2.5, 10.0))
    ratios = [one.high / one.low for one in (shorter, longer)]
    assert ratios[0] < ratios[1]


def test_the_shipped_doubt_says_where_it_comes_from() -> None:
    table = load("lengths")
    assert "learn_lengths.py" in table["provenance"]["made_by"]
    assert table["provenance"]["fine_tunes"] > 100
    for kind in ("learned", "laws"):
        assert 0.0 < table[kind]["near"] < table[kind]["longer"]
        assert 0.0 < table[kind]["shorter"] < table[kind]["longer"]
