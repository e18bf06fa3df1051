"""Wild points: what a spike, a dip and a jump at the end do to the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_runs import make_run, series

from ftadvise.advising import advise
from ftadvise.calm import calmed, jumped
from ftadvise.fitting import fit
from ftadvise.onset import onset
from ftadvise.run import Run, as_floats


def with_point(place: int, factor: float) -> Run:
    run = make_run(evals=10, noise=0.002)
    loss = np.array(run.eval.loss)
    loss[place] *= factor
    return replace(run, eval=replace(run.eval, loss=as_floats(loss)))


@pytest.mark.parametrize("factor", [0.3, 5.0])
def test_a_lone_wild_evaluation_is_no_overfitting_and_sets_no_level(factor: float) -> None:
    calm, wild = advise(make_run(evals=10, noise=0.002)), advise(with_point(4, factor))
    assert wild.overfitting.onset_epoch is None
    expected = calm.recommendation.expected_eval_loss
    assert wild.recommendation.expected_eval_loss == pytest.approx(expected, rel=0.03)


def test_a_jump_of_the_last_evaluation_makes_one_suspect_overfitting_from_there() -> None:
    found = onset(fit(with_point(9, 5.0)))
    assert (found.status, found.onset_epoch, found.interval) == ("suspected", 5.0, (4.5, 5.0))


def test_a_curve_that_grows_all_along_has_no_jump() -> None:
    at = np.arange(1.0, 9.0)
    assert not jumped(fit(Run(eval=series("eval_loss", at, 1.5**at))))


def test_a_calm_fit_is_left_as_it_is() -> None:
    fitted = fit(make_run(noise=0.01))
    assert calmed(fitted) is fitted


def test_a_loss_that_never_moved_has_not_turned() -> None:
    at = np.arange(1.0, 9.0)
    advice = advise(Run(eval=series("eval_loss", at, np.full(8, 1.5))))
    assert (advice.overfitting.status, advice.overfitting.probability) == ("none", 0.0)
    assert "stayed at 1.5" in advice.reasons[0]
