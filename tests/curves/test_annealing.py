"""When a run that holds its rate should begin to let it decay."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_runs import series

from ftadvise.annealing import DecayDecision, learned_epochs, start_decay
from ftadvise.optimum import optimum
from ftadvise.run import FloatArray, Run, Series
from ftadvise.schedules import Schedule
from ftadvise.thinning import observed_points


def held(gap: float, rise: float = 0.0, epochs: float = 6.0, offset: float = 0.0) -> Run:
    """Return a run at a held rate.

    Its train loss falls below its eval loss by `gap` (log) an epoch after the first, and the eval
    loss rises by `rise` an epoch beside what it falls.
    """
    at = np.arange(0.5, epochs + 1e-9, 0.5)
    falls = 1.0 + 1.5 / (1.0 + 2.0 * at)
    train = falls * np.exp(-gap * np.maximum(at - 1.0, 0.0))
    return Run(
        train=series("loss", at, train), eval=series("eval_loss", at, falls + rise * at - offset)
    )


def starts(run: Run, decay_epochs: float = 1.0, cap: float | None = None) -> float:
    """Return the epoch of the first evaluation at which the decay begins; infinity for none."""
    for epoch in run.eval.epoch.tolist():
        if start_decay(until(run, epoch), decay_epochs, cap).start:
            return float(epoch)
    return math.inf


def until(run: Run, epoch: float) -> Run:
    def cut(one: Series) -> Series:
        return one.take(one.epoch <= epoch + 1e-9)

    return replace(run, train=cut(run.train), eval=cut(run.eval))


def only_eval(loss: FloatArray) -> Run:
    return Run(eval=series("eval_loss", 0.5 * np.arange(1.0, loss.size + 1.0), loss))


def test_a_run_that_memorises_decays_earlier_than_one_that_does_not() -> None:
    early, late = starts(held(gap=0.8, rise=0.15)), starts(held(gap=0.0))
    assert 1.5 <= early <= 2.5
    assert late >= 5.0


def test_the_decay_is_due_where_hold_and_decay_make_the_progress_of_the_best_full_decay() -> None:
    run = held(gap=0.3)
    best = learned_epochs(run, observed_points(run, "eval"))
    assert best is not None
    for decay in (0.5, 1.0, 2.0):
        hold = start_decay(run, decay).hold_epochs
        assert hold is not None
        whole = Schedule("wsd", decay=decay / (hold + decay))
        progress = whole.progress(np.array([hold + decay]), hold + decay)
        assert progress == pytest.approx(Schedule("linear").progress(np.array([best]), best), 1e-2)


def test_what_was_learned_is_taken_without_the_habit_that_a_short_log_is_mixed_with() -> None:
    run = until(held(gap=0.1), 2.0)
    found = optimum(run, True, 2.0)
    best = learned_epochs(run, observed_points(run, "eval"))
    assert found is not None
    assert best is not None
    assert found.trust < 0.5
    habit = math.log(3.0)
    assert found.log_epochs == pytest.approx(
        found.trust * math.log(best) + (1.0 - found.trust) * habit
    )


def test_of_two_evaluations_the_decay_begins_at_the_nearer_one() -> None:
    early = 0
    for gap in np.linspace(0.0, 0.8, 41).tolist():
        run = until(held(gap, rise=0.1), 2.0)
        decision = start_decay(run)
        assert decision.hold_epochs is not None
        missing = decision.hold_epochs - 2.0
        assert decision.start == (missing <= 0.25)  # of the half epoch to the next
        early += decision.start and missing > 0.0
    assert early > 0


@pytest.mark.parametrize(("cap", "decay"), [(3.0, 1.0), (4.0, 1.0), (4.0, 2.0)])
def test_the_decay_begins_at_the_latest_where_it_still_ends_at_the_cap(
    cap: float, decay: float
) -> None:
    assert starts(held(gap=0.0), decay, cap) == cap - decay


def test_nothing_is_decided_from_fewer_than_three_evaluations_or_within_the_first_epoch() -> None:
    run = held(gap=0.8, rise=0.3)
    assert "too few" in start_decay(until(run, 1.0)).reason
    at = np.array([0.2, 0.4, 0.6, 0.8])
    short = Run(eval=series("eval_loss", at, np.array([2.0, 2.1, 2.2, 2.3])))
    assert start_decay(short) == DecayDecision(False, "the first epoch is not over")


def test_without_a_train_loss_a_curve_that_stands_still_or_rises_begins_to_decay() -> None:
    for tail in (np.full(4, 1.5), np.linspace(1.5, 1.8, 4)):
        decision = start_decay(only_eval(np.concatenate([[3.0, 2.2, 1.7, 1.5], tail])))
        assert decision.start
        assert decision.hold_epochs is None
        assert "0.0 %" in decision.reason


def test_without_a_train_loss_a_curve_that_falls_steadily_holds_its_rate() -> None:
    decision = start_decay(only_eval(3.0 / np.arange(1.0, 7.0) ** 0.5))
    assert not decision.start
    assert "gain" in decision.reason


def test_losses_below_zero_are_left_alone() -> None:
    assert not start_decay(held(gap=0.5, rise=0.2, offset=5.0)).start


def test_a_decay_without_length_is_refused() -> None:
    for epochs in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="decay_epochs"):
            start_decay(held(gap=0.1), epochs)


@given(st.floats(1e-3, 1e3), st.floats(0.0, 1.0), st.floats(0.0, 0.3))
@settings(max_examples=25, deadline=None)
def test_the_decision_does_not_depend_on_the_unit_of_the_loss(
    factor: float, gap: float, rise: float
) -> None:
    run = held(gap, rise, epochs=3.0)
    scaled = replace(
        run,
        train=replace(run.train, loss=factor * run.train.loss),
        eval=replace(run.eval, loss=factor * run.eval.loss),
    )
    one, other = start_decay(run), start_decay(scaled)
    assert one.hold_epochs == pytest.approx(other.hold_epochs)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=12))
@example([1e-300, 1.0, 1e300])
@settings(max_examples=60, deadline=None)
def test_any_log_gets_a_decision(losses: list[float]) -> None:
    assert start_decay(only_eval(np.array(losses, dtype=np.float64))).reason
