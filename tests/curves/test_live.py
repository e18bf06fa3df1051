"""The live decision: when more training is not expected to pay."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from made_runs import make_run, series

from ftadvise.live import annealing_gain, probability_of_improvement, should_stop
from ftadvise.run import FloatArray, LearningRates, Run, Settings, as_floats
from ftadvise.schedules import Schedule
from ftadvise.thinning import observed_points
from ftadvise.trend import recent_trend


def first_evals(run: Run, count: int) -> Run:
    return replace(run, eval=run.eval.take(slice(0, count)))


def with_rates(loss: FloatArray, kind: str, done: float = 0.6, name: str | None = None) -> Run:
    """Return a run of ten epochs, `done` of it over, with these losses and that schedule."""
    at = np.linspace(10.0 * done / loss.size, 10.0 * done, loss.size)
    dense = np.linspace(0.1, 10.0 * done, 60)
    rates = 1e-4 * Schedule(kind).rate(dense / 10.0)
    return Run(
        eval=series("eval_loss", at, loss),
        lr=LearningRates("learning_rate", as_floats(dense), as_floats(dense), as_floats(rates)),
        planned_epochs=10.0,
        settings=Settings(lr_scheduler_type=name),
    )


def plateau(above: float = 0.0) -> FloatArray:
    """Return losses that fell, then stood still for long, `above` their lowest."""
    fall = 1.0 + np.exp(-np.arange(6.0))
    level = 1.0 + above + 0.0005 * np.cos(np.arange(30.0))
    return np.concatenate([fall, level])


def test_a_run_that_has_long_turned_up_is_stopped() -> None:
    run = make_run(epochs=10.0, evals=20, rise=0.3, kind="constant", noise=0.002)
    decision = should_stop(replace(run, planned_epochs=20.0))
    assert decision.stop
    assert decision.probability_of_improvement < 0.1


def test_a_run_that_still_falls_is_not_stopped() -> None:
    decision = should_stop(first_evals(make_run(evals=10), 6))
    assert not decision.stop
    assert decision.probability_of_improvement > 0.5


def test_a_run_that_only_rises_is_stopped_when_enough_evaluations_say_so() -> None:
    rising = Run(eval=series("eval_loss", np.arange(1.0, 13.0), np.arange(1.0, 13.0)))
    stops = [count for count in range(13) if should_stop(first_evals(rising, count)).stop]
    assert stops == list(range(6, 13))
    assert "too few" in should_stop(first_evals(rising, 4)).reason


def test_one_evaluation_never_stops_a_run_that_was_doing_well() -> None:
    falling = 1.0 + 0.8 ** np.arange(12.0)
    run = Run(eval=series("eval_loss", np.arange(1.0, 14.0), np.append(falling, 3.0)))
    assert not should_stop(run).stop


def test_percents_are_written_as_everywhere_else() -> None:
    run = make_run(epochs=10.0, evals=20, rise=0.3, kind="constant", noise=0.002)
    for found in (should_stop(run), should_stop(first_evals(run, 6))):
        assert re.search(r"chance of [<>]?\d+ %", found.reason)
        assert not re.search(r"\d%", found.reason)


@pytest.mark.parametrize("done", [0.6, 0.7, 0.8, 0.9])
def test_a_plateau_is_stopped_at_a_constant_rate_and_not_before_a_decay(done: float) -> None:
    standing = plateau(above=0.01)
    assert should_stop(with_rates(standing, "constant", done)).stop
    waiting = should_stop(with_rates(standing, "constant", done, name="warmup_stable_decay"))
    assert not waiting.stop
    standing_still = should_stop(with_rates(standing, "constant", done))
    assert waiting.probability_of_improvement > 3.0 * standing_still.probability_of_improvement


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_rate_that_still_comes_down_makes_a_gain_likelier(kind: str) -> None:
    found = [
        should_stop(with_rates(plateau(0.01), name, 0.5)).probability_of_improvement
        for name in ("constant", kind)
    ]
    assert found[1] > 1.5 * found[0]


def test_a_run_that_overfits_is_stopped_though_the_rate_still_comes_down() -> None:
    rising = np.concatenate([[2.0, 1.5, 1.2], 1.0 + 0.03 * np.arange(25.0)])
    assert should_stop(with_rates(rising, "linear", done=0.6)).stop


def test_the_gain_of_a_decay_shrinks_to_nothing_as_it_is_spent() -> None:
    shares = (0.3, 0.6, 0.9, 1.0)
    runs = [with_rates(plateau(), "linear", done=done) for done in shares]
    gains = [annealing_gain(run, observed_points(run, "eval")) for run in runs]
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] == 0.0 < gains[-2]
    without_plan = replace(runs[0], planned_epochs=None)
    assert annealing_gain(without_plan, observed_points(without_plan, "eval")) == 0.0


def test_what_is_foreseen_makes_a_gain_likelier_and_a_drought_less_likely() -> None:
    trend = recent_trend(observed_points(with_rates(plateau(), "constant"), "eval"), "eval")
    chance = probability_of_improvement(trend, 10.0)
    assert probability_of_improvement(trend, 10.0, foreseen=0.05) > chance
    assert probability_of_improvement(replace(trend, drought=0.0), 10.0) > chance
