"""The damped trend: its drift, its doubt, and the constants it was taught."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ftadvise import priors
from ftadvise.run import FloatArray
from ftadvise.thinning import Points
from ftadvise.trend import TAIL_90, damped, doubt, learned, recent_trend, student_t3


def points(loss: FloatArray) -> Points:
    return Points(np.arange(1.0, loss.size + 1.0), loss, np.ones(loss.size))


def drift(slope: float, epoch: float = 5.0) -> float:
    return float(damped(np.array(slope), np.array(epoch), learned()))


def test_the_learned_constants_come_from_a_file_that_says_how_they_were_learned() -> None:
    table = priors.load("trend")
    assert asdict(learned()) == table["drift"] | table["doubt"]
    assert {"data", "size", "command", "left_out"} <= table["provenance"].keys()
    numbers = [*table["drift"].values(), *table["doubt"].values(), *table["stop"].values()]
    assert len(asdict(learned())) <= 12
    assert all(math.isfinite(number) and number > 0 for number in numbers)
    assert "NaN" not in json.dumps(table)


def test_a_fall_is_expected_to_slow_down_and_a_small_rise_to_go_on() -> None:
    assert -0.1 < drift(-0.1) < -0.02
    assert drift(0.1) > -drift(-0.1)


def test_a_steep_slope_levels_off_and_the_sooner_the_more_epochs_were_seen() -> None:
    assert drift(3.0) < 1.0
    assert drift(3.0, epoch=50.0) < drift(3.0, epoch=5.0)
    assert drift(50.0) == drift(3.0)


@given(slope=st.floats(-1e6, 1e6, allow_subnormal=False), epoch=st.floats(1e-6, 1e6))
def test_the_drift_has_the_sign_of_the_slope_and_is_never_more(slope: float, epoch: float) -> None:
    found = drift(slope, epoch)
    assert found * slope >= 0
    assert abs(found) <= learned().rise * abs(slope) * (1 + 1e-9)


@given(
    slope=st.floats(-5, 5), noise=st.floats(1e-4, 0.5), near=st.floats(0, 3), more=st.floats(0, 3)
)
def test_doubt_grows_with_distance_slope_and_noise(
    slope: float, noise: float, near: float, more: float
) -> None:
    def scale(slope: float, noise: float, ahead: float) -> float:
        return float(doubt(np.array(slope), np.array(noise), np.array(ahead), learned()))

    here = scale(slope, noise, near)
    assert 0 < here <= scale(slope, noise, near + more)
    assert here <= scale(2.0 * slope, noise, near)
    assert here <= scale(slope, 2.0 * noise, near)


@given(st.floats(-50, 50))
def test_the_student_t_is_that_of_scipy(value: float) -> None:
    assert student_t3(value) == pytest.approx(float(stats.t.cdf(value, 3)), abs=1e-12)
    assert pytest.approx(float(stats.t.ppf(0.95, 3)), abs=1e-4) == TAIL_90


def test_a_power_law_has_its_exponent_for_a_slope() -> None:
    trend = recent_trend(points(2.0 * np.arange(1.0, 13.0) ** -0.3), "eval")
    assert trend.slope == pytest.approx(-0.3, abs=1e-9)
    assert (trend.drought, trend.log_level) == (0.0, trend.log_best)


def test_the_slope_is_that_of_the_last_half() -> None:
    loss = np.array([9.0, 7.0, 5.0, 4.0, 1.0, 1.1, 1.2, 1.3])
    trend = recent_trend(points(loss), "eval")
    assert trend.slope > 0
    assert trend.drought == 3 / 8


def test_an_epoch_that_has_passed_lies_no_way_ahead() -> None:
    trend = recent_trend(points(np.linspace(2.0, 1.0, 8)), "eval")
    assert trend.ahead(4.0) == 0.0
    assert trend.doubt(4.0) == trend.doubt(8.0) < trend.doubt(9.0)
    assert replace(trend, noise=0.5).doubt(8.0) > trend.doubt(8.0)
