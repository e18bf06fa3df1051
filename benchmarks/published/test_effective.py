"""Progress and felt fall in the effective rate."""

from __future__ import annotations

import numpy as np
import pytest
from effective import POWER, effective_schedule
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from ftadvise.run import FloatArray
from ftadvise.schedules import Schedule


def sampled(kind: str, warmup: float = 0.05, points: int = 2001) -> tuple[FloatArray, FloatArray]:
    fraction = np.linspace(0.0, 1.0, points)
    return 4.0 * fraction, Schedule(kind, warmup).rate(fraction)


def test_with_power_one_and_no_memory_it_is_the_schedule_itself() -> None:
    time, rate = sampled("cosine")
    made = effective_schedule(time, 3e-4 * rate, power=1.0, nodes=5000)
    at = np.linspace(0.1, 4.0, 20)
    schedule = Schedule("cosine", 0.05)
    np.testing.assert_allclose(made.progress_at(at), schedule.progress(at, 4.0), rtol=1e-3)
    np.testing.assert_allclose(made.fall_at(at, 0.0), schedule.annealing(at, 4.0), atol=1e-3)


def test_progress_is_the_integral_of_the_rate_to_the_power() -> None:
    time, rate = sampled("linear", warmup=0.0)
    made = effective_schedule(time, rate)
    for end in (1.0, 2.5, 4.0):
        expected, _ = quad(lambda t: (1.0 - t / 4.0) ** POWER, 0.0, end)
        assert made.progress_at(np.array([end]))[0] == pytest.approx(expected, rel=1e-3)


def test_a_fall_in_one_step_is_felt_as_a_hyperbola_of_the_progress_since_then() -> None:
    time = np.array([0.0, 2.0, 2.0, 6.0])
    made = effective_schedule(time, np.array([1.0, 1.0, 0.3, 0.3]))
    at = np.array([1.0, 1.999, 2.5, 4.0, 6.0])
    since = 0.3**POWER * np.maximum(at - 2.0, 0.0)
    expected = (1.0 - 0.3**POWER) * since / (0.2 + since)
    np.testing.assert_allclose(made.fall_at(at, 0.2), expected, atol=1e-12)


def test_a_slow_fall_is_the_sum_over_its_small_steps() -> None:
    time, rate = sampled("cosine", points=20001)
    made = effective_schedule(time, rate)
    at = np.array([0.3, 1.0, 2.0, 3.0, 3.9])
    level = rate**POWER
    progress = np.concatenate([[0.0], np.cumsum((level[1:] + level[:-1]) / 2 * np.diff(time))])
    peak = int(np.argmax(level))
    since = np.maximum(np.interp(at, time, progress)[:, None] - progress[None, peak + 1 :], 0.0)
    expected = (since / (0.1 + since)) @ -np.diff(level[peak:])
    np.testing.assert_allclose(made.fall_at(at, 0.1), expected, atol=2e-3)


def test_neither_a_constant_rate_nor_its_warm_up_is_a_fall() -> None:
    time, rate = sampled("constant", warmup=0.2)
    made = effective_schedule(time, rate)
    assert not made.fall_at(time, 0.1).any()
    assert not made.fall_at(time, 0.0).any()


def test_thinning_a_long_schedule_keeps_progress_fall_and_a_jump() -> None:
    step = np.arange(72001.0)
    cosine = 0.1 + 0.45 * (1.0 + np.cos(np.pi * step / 72000))
    jump = np.where(step < 8000, 1.0, 0.1)
    at = np.array([100.0, 7999.0, 8050.0, 9000.0, 30000.0, 72000.0])
    for rate in (cosine, jump):
        thin = effective_schedule(step, rate)
        whole = effective_schedule(step, rate, nodes=step.size)
        assert thin.time.size <= 310
        np.testing.assert_allclose(thin.progress_at(at), whole.progress_at(at), rtol=2e-3)
        np.testing.assert_allclose(thin.fall_at(at, 60.0), whole.fall_at(at, 60.0), atol=2e-3)


@given(
    rates=st.lists(st.floats(0.0, 1.0), min_size=2, max_size=30),
    memory=st.floats(1e-3, 10.0),
)
def test_a_fall_is_felt_in_full_at_most_and_never_less_with_time(
    rates: list[float], memory: float
) -> None:
    rate = np.sort(np.array([1.0, *rates]))[::-1]
    time = np.arange(float(rate.size))
    made = effective_schedule(time, rate)
    at = np.linspace(0.0, float(time[-1]), 50)
    felt = made.fall_at(at, memory)
    assert (felt >= -1e-9).all()
    assert (felt <= made.fall_at(at, 0.0) + 1e-9).all()
    assert (np.diff(felt) >= -1e-9).all()
