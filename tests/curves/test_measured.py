"""Several lengths of one fine-tune: the answer follows what they reached."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_runs import make_run

from ftadvise.advising import advise
from ftadvise.fitting import fit
from ftadvise.lengths import another_run
from ftadvise.measured import measured, next_run, unknown
from ftadvise.run import Run, as_floats


def reaching(epochs: float, lowest: float) -> Run:
    """Return a run of `epochs` epochs that looks like any other and ends at `lowest`."""
    run = make_run(epochs=epochs, evals=2 * int(epochs), noise=0.001)
    loss = run.eval.loss * lowest / run.eval.loss.min()
    return replace(run, eval=replace(run.eval, loss=as_floats(loss)))


LENGTHS = (3.0, 5.0, 7.0)


@pytest.mark.parametrize(
    ("reached", "least", "most"),
    [((1.10, 1.05, 1.08), 4, 6), ((1.05, 1.08, 1.12), 1, 4), ((1.12, 1.07, 1.03), 7, 12)],
    ids=["the middle was best", "the shortest was best", "the longest was best"],
)
def test_the_length_that_was_best_is_near_the_answer(
    reached: tuple[float, ...], least: int, most: int
) -> None:
    *past, last = (reaching(e, lowest) for e, lowest in zip(LENGTHS, reached, strict=True))
    advice = advise(last, past=past)
    assert least <= advice.num_train_epochs <= most


def test_at_a_length_that_was_trained_what_it_reached_is_expected() -> None:
    *past, last = (reaching(e, x) for e, x in zip(LENGTHS, (1.10, 1.05, 1.08), strict=True))
    advice = advise(last, past=past)
    five = next(f for f in advice.forecast if f.epochs == 5.0)
    assert five.median == pytest.approx(1.05, rel=0.01)
    assert five.low < 1.05 < five.high


def test_one_run_alone_is_answered_from_its_draws() -> None:
    fitted = fit(make_run())
    at = np.arange(1.0, 8.0)
    assert measured(fitted) is None
    assert unknown(fitted, 7.0) == 1.0
    assert np.array_equal(next_run(fitted, at, 7.0), another_run(fitted, at, 7.0))


def test_least_is_unknown_at_the_lengths_that_were_trained() -> None:
    *past, last = (reaching(e, x) for e, x in zip(LENGTHS, (1.10, 1.05, 1.08), strict=True))
    fitted = fit(last, past)
    assert unknown(fitted, 5.0) < unknown(fitted, 12.0) < unknown(fitted, 30.0) < 1.0
    assert unknown(fitted, 5.0) < 0.05


def test_one_length_that_was_trained_twice_is_no_difficulty() -> None:
    past = [reaching(5.0, 1.05), reaching(5.0, 1.06), reaching(5.0, 1.05)]
    assert advise(reaching(7.0, 1.08), past=past).num_train_epochs in range(3, 8)
