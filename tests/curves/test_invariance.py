"""What may not change the advice: units, names of steps, how densely was logged, a little noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import make_run

from ftadvise.advising import advise
from ftadvise.run import Run, Series, as_floats


def times(run: Run, factor: float) -> Run:
    """Return the run with all losses times `factor`."""
    train, evals = (replace(s, loss=as_floats(factor * s.loss)) for s in (run.train, run.eval))
    return replace(run, train=train, eval=evals)


def relabelled(run: Run, factor: float) -> Run:
    """Return the run with another number of steps for the same epochs, as of another batch size."""
    train, evals = (replace(s, step=as_floats(factor * s.step)) for s in (run.train, run.eval))
    return replace(run, train=train, eval=evals, lr=replace(run.lr, step=factor * run.lr.step))


def thinned(run: Run) -> Run:
    """Return the run with every second train and eval loss, its last ones among them."""

    def half(series: Series) -> Series:
        kept = slice(len(series.loss) % 2 + 1 - 2 * (len(series.loss) % 2), None, 2)
        return Series(series.key, series.step[kept], series.epoch[kept], series.loss[kept])

    return replace(run, train=half(run.train), eval=half(run.eval))


@settings(max_examples=10, deadline=None)
@given(factor=st.floats(1e-3, 1e3), rise=st.sampled_from([0.0, 0.05, 0.15]))
def test_losses_in_another_unit_leave_epochs_and_patience_alone(
    factor: float, rise: float
) -> None:
    run = make_run(noise=0.005, rise=rise)
    here, there = advise(run), advise(times(run, factor))
    assert there.num_train_epochs == here.num_train_epochs
    assert there.overfitting == here.overfitting
    assert there.keep.expected_gain_percent == pytest.approx(here.keep.expected_gain_percent)
    expected = factor * here.recommendation.expected_eval_loss
    assert there.recommendation.expected_eval_loss == pytest.approx(expected)


@pytest.mark.parametrize("factor", [2.0, 7.0, 0.5])
def test_the_number_of_steps_in_an_epoch_changes_the_cadence_in_steps_and_nothing_else(
    factor: float,
) -> None:
    run = make_run(noise=0.005, rise=0.1)
    here, there = advise(run).recommendation, advise(relabelled(run, factor)).recommendation
    assert there.num_train_epochs == here.num_train_epochs
    assert there.early_stopping_patience == here.early_stopping_patience
    assert here.eval_steps is not None
    assert there.eval_steps == pytest.approx(factor * here.eval_steps, abs=1)


@pytest.mark.parametrize("rise", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_half_of_the_points_lead_to_nearly_the_same_number_of_epochs(
    rise: float, noise: float
) -> None:
    run = make_run(epochs=6.0, evals=24, rise=rise, noise=noise)
    here, there = advise(run).num_train_epochs, advise(thinned(run)).num_train_epochs
    assert abs(there - here) <= max(1, round(0.2 * here))


@pytest.mark.parametrize("rise", [0.0, 0.05, 0.15])
def test_other_noise_of_the_same_size_moves_the_advice_by_a_step(rise: float) -> None:
    chosen = [
        advise(make_run(evals=10, rise=rise, noise=0.003, seed=seed)).num_train_epochs
        for seed in range(20)
    ]
    middle = float(np.median(chosen))
    assert max(abs(one - middle) for one in chosen) <= max(1.0, 0.15 * middle)
