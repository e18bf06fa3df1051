"""The reasons say what is so."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import make_run, series

from ftadvise.advising import advise
from ftadvise.errors import UsageError
from ftadvise.numbers import chance
from ftadvise.run import Run

EPOCHS = 2  # where the reason for the number of epochs stands


@pytest.mark.parametrize("rise", [0.0, 0.05, 0.15, 0.5])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("price", [None, 0.02])
def test_only_what_has_the_least_expected_loss_is_said_to_have_it(
    rise: float, train: bool, price: float | None
) -> None:
    advice = advise(make_run(rise=rise, noise=0.01, train=train), price=price)
    expected = advice.recommendation.expected_eval_loss
    least = min(f.median for f in advice.forecast)
    if "the least expected loss" in advice.reasons[EPOCHS]:
        assert expected <= 1.001 * least
    else:
        assert "the expected loss against" in advice.reasons[EPOCHS]


def test_a_curve_that_only_rises_is_said_to_have_been_lowest_at_its_start() -> None:
    at = np.arange(1.0, 7.0)
    advice = advise(Run(eval=series("eval_loss", at, 1.0 + 0.1 * at)))
    assert "lowest at its first value, 1.1" in advice.reasons[0]


def test_with_train_loss_but_few_evaluations_it_is_not_said_that_train_loss_is_missing() -> None:
    run = make_run(epochs=1.0, evals=2)
    assert "so few evaluations" in advise(run).reasons[EPOCHS]


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -0.1])
def test_a_price_that_is_no_number_from_zero_up_is_an_error(price: float) -> None:
    with pytest.raises(UsageError):
        advise(make_run(), price=price)


def test_a_probability_is_never_shown_as_none_or_certain() -> None:
    shown = [chance(p) for p in (0.0, 0.005, 0.0099, 0.01, 0.5, 0.99, 0.995, 1.0)]
    assert shown == ["<1 %", "<1 %", "<1 %", "1 %", "50 %", "99 %", ">99 %", ">99 %"]
