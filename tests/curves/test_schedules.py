"""Schedules: progress and annealing at any point of any horizon."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from transformers import get_scheduler

from ftadvise.run import LearningRates, Run, Series, Settings, as_floats
from ftadvise.schedules import KINDS, POWER, Schedule, identify

STEPS_PER_EPOCH, EPOCHS = 40, 3


def run_with_rates(rates: list[float], **settings: str) -> Run:
    steps = as_floats(range(1, len(rates) + 1))
    epochs = as_floats(steps / STEPS_PER_EPOCH)
    return Run(
        train=Series("loss", steps, epochs, as_floats(np.ones(len(rates)))),
        lr=LearningRates("learning_rate", steps, epochs, as_floats(rates)),
        settings=Settings(lr_scheduler_type=settings.get("name")),
    )


def rates_of_transformers(name: str, warmup: int, **specific: object) -> list[float]:
    """Return the learning rates that the real scheduler gives, step by step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    total = STEPS_PER_EPOCH * EPOCHS
    scheduler: Any = get_scheduler(name, optimizer, warmup, total, specific or None)
    rates: list[float] = []
    for _ in range(total):
        optimizer.step()
        scheduler.step()
        rates.append(float(scheduler.get_last_lr()[0]))
    return rates


@pytest.mark.parametrize(
    ("name", "kind"),
    [("linear", "linear"), ("cosine", "cosine"), ("constant_with_warmup", "constant")],
)
@pytest.mark.parametrize("warmup", [0, 6, 12])
def test_the_schedules_of_transformers_are_recognised(name: str, kind: str, warmup: int) -> None:
    found = identify(run_with_rates(rates_of_transformers(name, warmup)), float(EPOCHS))
    assert found.known
    assert found.kind == kind
    assert found.warmup == pytest.approx(warmup / (STEPS_PER_EPOCH * EPOCHS), abs=0.02)


def test_a_warmup_stable_decay_schedule_of_transformers_is_recognised() -> None:
    rates = rates_of_transformers(
        "warmup_stable_decay", 6, num_decay_steps=36, decay_type="linear", min_lr_ratio=0.0
    )
    found = identify(run_with_rates(rates), float(EPOCHS))
    assert (found.kind, found.known) == ("wsd", True)
    assert found.decay == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("decay", [8, 26, 71, 95])
def test_a_hold_and_a_decay_of_any_length_are_recognised(decay: int) -> None:
    total = STEPS_PER_EPOCH * EPOCHS
    steps = range(1, total + 1)
    rates = [3e-4 * min(1.0, step / 14, (total - step) / decay) for step in steps]
    found = identify(run_with_rates(rates), float(EPOCHS))
    assert (found.kind, found.known) == ("wsd", True)
    assert found.decay == pytest.approx(decay / total, abs=0.02)
    assert found.warmup == pytest.approx(14 / total, abs=0.02)


def test_without_rates_the_named_schedule_is_taken_and_marked_as_not_seen() -> None:
    found = identify(run_with_rates([], name="cosine"), 3.0)
    assert (found.kind, found.known) == ("cosine", False)


def test_without_rates_and_name_a_constant_rate_is_assumed() -> None:
    assert identify(Run(), 3.0) == Schedule("constant", known=False)


def test_rates_that_follow_no_schedule_are_not_forced_into_one() -> None:
    rates = list(np.abs(np.sin(np.arange(120))) * 1e-4)
    assert not identify(run_with_rates(rates), 3.0).known


@given(
    kind=st.sampled_from(KINDS),
    warmup=st.sampled_from([0.0, 0.05, 0.1]),
    horizon=st.floats(0.5, 50.0),
    share=st.floats(0.0, 1.0),
)
def test_progress_is_the_integral_of_the_effective_rate(
    kind: str, warmup: float, horizon: float, share: float
) -> None:
    schedule = Schedule(kind, warmup)

    def rate(at: float) -> float:
        return float(schedule.rate(np.array([at / horizon]))[0] ** POWER)

    breaks = [b * horizon for b in (warmup, 1.0 - schedule.decay) if b < share]
    expected, _ = quad(rate, 0.0, share * horizon, points=breaks or None, limit=200)
    got = float(schedule.progress(np.array([share * horizon]), horizon)[0])
    assert got == pytest.approx(expected, abs=2e-3 * horizon)


@given(kind=st.sampled_from(KINDS), horizon=st.floats(0.5, 20.0), factor=st.floats(0.5, 4.0))
def test_a_longer_run_with_its_own_schedule_is_the_same_shape_stretched(
    kind: str, horizon: float, factor: float
) -> None:
    schedule, at = Schedule(kind, 0.05), np.linspace(0.0, 1.0, 7)
    short = schedule.progress(at * horizon, horizon)
    long = schedule.progress(at * horizon * factor, horizon * factor)
    np.testing.assert_allclose(long, factor * short, rtol=1e-9, atol=1e-9)


def test_annealing_runs_from_zero_at_the_peak_to_one_when_the_rate_is_gone() -> None:
    at = np.array([0.0, 0.1, 5.0, 10.0])
    annealing = Schedule("linear", 0.1).annealing(at, 10.0)
    assert annealing[1] == pytest.approx(0.0, abs=0.02)
    assert np.all(np.diff(annealing) >= 0)
    assert annealing[-1] == pytest.approx(1.0)
    assert not Schedule("constant").annealing(at, 10.0).any()
