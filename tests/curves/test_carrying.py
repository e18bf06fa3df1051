"""What one fine-tune says about the number of epochs of another."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import make_run

from ftadvise.advising import advise
from ftadvise.carrying import MOST, Change, carried, differences
from ftadvise.history.facts import Facts
from ftadvise.optimum import Optimum
from ftadvise.priors import load

HERE = Facts(model="qwen", parameters=500_000_000, data="abc", learning_rate=1e-4, method="full")
FOUND = Optimum(math.log(6.0), 0.25, 1.0)


def to(**change: object) -> Change:
    return Change(HERE, replace(HERE, **change))  # type: ignore[arg-type]


def test_the_same_fine_tune_is_answered_as_it_was() -> None:
    assert carried(FOUND, to()) == FOUND
    assert differences(to(learning_rate=1.01e-4)) == ()


def test_what_is_unknown_counts_as_the_same() -> None:
    assert differences(Change(HERE, Facts())) == ()
    assert carried(FOUND, Change(Facts(), HERE)) == FOUND


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"data": "other"}, "other data"),
        ({"model": "alpaca"}, "another model"),
        ({"parameters": 7_000_000_000}, "another model"),
        ({"learning_rate": 2e-5}, "a learning rate of 2e-05 instead of 0.0001"),
        ({"method": "lora"}, "LoRA instead of all weights"),
    ],
)
def test_every_change_is_named_and_makes_the_answer_less_sure(
    change: dict[str, object], phrase: str
) -> None:
    assert differences(to(**change)) == (phrase,)
    assert carried(FOUND, to(**change)).spread > 1.5 * FOUND.spread


def test_other_data_say_less_than_the_same_data_do() -> None:
    same, other = (carried(FOUND, to(model="alpaca", data=data)) for data in ("abc", "xyz"))
    assert other.spread > same.spread


def test_a_higher_rate_and_a_larger_model_need_fewer_epochs_and_lora_more() -> None:
    assert carried(FOUND, to(learning_rate=2e-4)).log_epochs < FOUND.log_epochs
    assert carried(FOUND, to(parameters=1_000_000_000)).log_epochs < FOUND.log_epochs
    assert carried(FOUND, to(method="lora")).log_epochs > FOUND.log_epochs


@given(st.floats(1e-8, 1.0), st.integers(1, 10**13))
@settings(max_examples=100, deadline=None)
def test_no_change_moves_the_answer_by_more_than_a_factor_of_two(rate: float, size: int) -> None:
    moved = carried(FOUND, to(learning_rate=rate, parameters=size)).log_epochs
    assert abs(moved - FOUND.log_epochs) <= MOST + 1e-12


def test_the_table_says_where_it_comes_from() -> None:
    assert "learn_carry.py" in load("carry")["provenance"]["made_by"]


def test_other_lengths_that_were_run_before_a_change_do_not_hold_the_answer_back() -> None:
    run, shorter = make_run(epochs=8.0, rise=0.02), make_run(epochs=4.0, rise=0.02)
    change = to(learning_rate=8e-4, parameters=4_000_000_000)
    before = advise(run, past=[shorter]).recommendation.num_train_epochs
    after = advise(run, past=[shorter], change=change)
    assert after.fit.peers == ()
    assert after.recommendation.num_train_epochs < before
