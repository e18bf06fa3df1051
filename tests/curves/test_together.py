"""Which logs are runs of one fine-tune."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_runs import make_run

from ftadvise.fitting import fit
from ftadvise.run import Run, Series, as_floats
from ftadvise.together import same_fine_tune, together


def with_eval_before(run: Run, loss: float) -> Run:
    evals = run.eval
    start = as_floats(np.array([0.0]))
    joined = Series(
        "eval_loss",
        as_floats(np.concatenate([start, evals.step])),
        as_floats(np.concatenate([start, evals.epoch])),
        as_floats(np.concatenate([[loss], evals.loss])),
    )
    return replace(run, eval=joined)


def test_runs_that_differ_in_their_length_alone_are_the_same_fine_tune() -> None:
    assert same_fine_tune(make_run(epochs=3.0), make_run(epochs=7.0))


def other_rate(run: Run) -> Run:
    return replace(run, lr=replace(run.lr, rate=as_floats(3.0 * run.lr.rate)))


def other_data(run: Run) -> Run:
    return replace(
        run,
        train=replace(run.train, step=as_floats(1.3 * run.train.step)),
        eval=replace(run.eval, step=as_floats(1.3 * run.eval.step)),
    )


@pytest.mark.parametrize(
    "other",
    [
        other_rate(make_run(epochs=7.0)),
        other_data(make_run(epochs=7.0)),
        make_run(epochs=7.0, scale=1.6),
        with_eval_before(make_run(epochs=7.0), 4.1),
        Run(),
    ],
    ids=["rate", "steps per epoch", "losses", "loss before training", "nothing known"],
)
def test_runs_of_other_data_or_another_rate_are_not(other: Run) -> None:
    assert not same_fine_tune(with_eval_before(make_run(), 5.0), other)


def test_the_last_log_says_which_fine_tune_is_meant_and_the_others_are_named() -> None:
    stranger, short, last = make_run(scale=2.0), make_run(epochs=3.0), make_run(epochs=5.0)
    found = together([short, stranger, last])
    assert found.runs == (short, last)
    assert found.others == (stranger,)
    assert "100 steps an epoch" in found.why


def test_without_runs_there_is_nothing_to_take_together() -> None:
    with pytest.raises(ValueError, match="no runs"):
        together([])


def test_the_run_itself_among_the_past_ones_is_no_evidence() -> None:
    run = make_run(rise=0.02)
    alone, thrice = fit(run), fit(run, past=[run, replace(run), run])
    assert thrice.optimum == alone.optimum
    assert thrice.noise == alone.noise
    assert thrice.peers == ()
