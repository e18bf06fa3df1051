"""How good advice was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_runs import five_numbers, make_run

import ftadvise
from ftadvise.history import Entry, Facts, Prediction, outcome, prediction_in, prediction_of
from ftadvise.history.outcome import epochs_judged, judged, track_record

TOLD = Prediction(epochs=4.0, eval_loss=1.1, low=1.0, high=1.2)
ENTRY = Entry(
    1,
    facts=Facts(stopped="planned end"),
    epochs=4.0,
    best_eval_loss=1.05,
    best_epoch=3.0,
    prediction=TOLD,
)


def test_prediction_and_result_stand_side_by_side() -> None:
    found = outcome(ENTRY)
    assert found is not None
    assert (found.advised_epochs, found.epochs, found.best_epoch) == (4.0, 4.0, 3.0)
    assert (found.predicted, found.interval, found.reached) == (1.1, (1.0, 1.2), 1.05)
    assert found.inside
    assert found.stopped == "planned end"
    said = "predicted 1.1 (90 %: 1 to 1.2), reached 1.05, inside: 4.8 % better"
    assert judged(found) == said
    assert epochs_judged(found) == "4 advised, 4 trained, best at 3"


@pytest.mark.parametrize("reached", [0.99, 1.21])
def test_a_result_beyond_the_interval_is_outside(reached: float) -> None:
    found = outcome(replace(ENTRY, best_eval_loss=reached))
    assert found is not None
    assert found.inside is False
    assert ("better" if reached < 1.1 else "worse") in judged(found)
    assert (found.error > 0) == (reached < 1.1), "above 0 where it promised worse"


def test_without_an_interval_nothing_is_said_of_one() -> None:
    found = outcome(replace(ENTRY, prediction=Prediction(4.0, 1.1)))
    assert found is not None
    assert found.inside is None
    assert judged(found) == "predicted 1.1, reached 1.05: 4.8 % better"


@pytest.mark.parametrize(
    "entry", [replace(ENTRY, prediction=None), replace(ENTRY, best_eval_loss=None)]
)
def test_a_run_without_a_prediction_or_a_result_has_no_outcome(entry: Entry) -> None:
    assert outcome(entry) is None
    assert track_record([entry]) == ""


def test_the_record_counts_all_that_was_foretold() -> None:
    missed = replace(ENTRY, best_eval_loss=2.2)
    said = track_record([ENTRY, missed, ENTRY, replace(ENTRY, prediction=None)])
    assert said == (
        "Advice so far: 3 runs, 4.8 % off in the median, 2 of 3 inside the 90 % interval"
    )


def test_an_advice_foretells_the_loss_of_the_epochs_that_it_recommends() -> None:
    advice = ftadvise.advise(make_run(noise=0.01))
    found = prediction_of(advice)
    assert found is not None
    assert found == prediction_in(advice.to_dict())
    assert found.epochs == advice.num_train_epochs
    assert found.eval_loss == advice.recommendation.expected_eval_loss
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.eval_loss <= found.high


def test_an_advice_from_a_train_loss_alone_foretells_no_eval_loss() -> None:
    advice = ftadvise.advise(five_numbers())
    assert prediction_of(advice) is None
    assert prediction_in(advice.to_dict()) is None


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"observed": {"eval_points": 9}, "recommendation": {"num_train_epochs": "x"}}],
)
def test_what_is_no_advice_foretells_nothing(document: object) -> None:
    assert prediction_in(document) is None
