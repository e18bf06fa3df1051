"""The checks of laws and stop policies: each broken promise is named."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ftadvise.errors import UsageError
from ftadvise.laws import Axes, Law, built_in_laws
from ftadvise.run import FloatArray, Run
from ftadvise.stopping import StopPolicy, register_stop_policies, watched
from ftadvise.testing import (
    check_law,
    check_policy,
)

LAW = built_in_laws()[-1]


@pytest.mark.parametrize("law", built_in_laws()[::4], ids=lambda law: law.name)
def test_our_own_laws_keep_their_promises(law: Law) -> None:
    check_law(law)


@pytest.mark.parametrize("policy", register_stop_policies()[2:], ids=lambda policy: policy.name)
def test_our_own_policies_keep_their_promises(policy: StopPolicy) -> None:
    check_policy(policy)


def writes(axes: Axes, shapes: FloatArray) -> FloatArray:
    shapes *= 2.0
    return LAW.falling(axes, shapes)


def ranks(axes: Axes, shapes: FloatArray) -> FloatArray:
    return LAW.falling(axes, shapes) / np.arange(1, len(shapes) + 1)[:, None]


CALLS = itertools.count()


def forgets(axes: Axes, shapes: FloatArray) -> FloatArray:
    return LAW.falling(axes, shapes) * 0.99 ** next(CALLS)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "My Law"}, "a name is lower case"),
        ({"formula": ""}, "has no formula"),
        ({"shapes": np.ones(3)}, "shapes has 1 dimensions, not 2"),
        ({"shapes": np.ones((3, 4), dtype=np.int64)}, "int64, not float64"),
        ({"shapes": np.ones((0, 4))}, "has 0 shapes"),
        ({"shapes": np.full((3, 4), np.nan)}, "not all finite"),
        ({"log_prior": np.zeros(3)}, "log_prior has shape (3,)"),
        ({"log_prior": np.full(LAW.log_prior.shape, np.nan)}, "log_prior is not finite"),
        ({"log_prior": np.zeros(LAW.log_prior.shape)}, "a share, at most 1"),
        ({"falling": lambda axes, shapes: 1 / 0}, "falling raised ZeroDivisionError"),
        ({"falling": lambda axes, shapes: [1.0]}, "returned list, not an array"),
        ({"falling": lambda axes, shapes: axes.progress}, "has shape (17,), not (768, 17)"),
        ({"fixed": lambda axes, shapes: LAW.fixed(axes, shapes) / 0.0}, "not finite throughout"),
        ({"falling": writes}, "writes into its arguments"),
        ({"falling": ranks}, "depends on which other shapes"),
        ({"fixed": lambda axes, shapes: LAW.fixed(axes, shapes)[:, ::-1]}, "which other points"),
        ({"falling": forgets}, "otherwise when it is asked again"),
        ({"falling": lambda axes, shapes: 2.0 * LAW.falling(axes, shapes)}, "begins at 2, not at 1"),
        ({"falling": lambda axes, shapes: 2.0 - LAW.falling(axes, shapes)}, "rises on the way"),
        ({"falling": lambda axes, shapes: 2.0 * LAW.falling(axes, shapes) - 1.0}, "negative"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_law_that_breaks_a_promise_is_told_which(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_law(replace(LAW, **changed))
    assert said in str(caught.value)


def test_a_law_that_takes_the_whole_posterior_for_itself_is_refused() -> None:
    knows = np.array([[1.0, 0.06, 0.0, 0.0]])  # of the first curve what no law can know beforehand
    with pytest.raises(AssertionError, match=r"takes \d+% of the posterior"):
        check_law(replace(LAW, name="greedy", shapes=knows, log_prior=np.array([0.0])))


def test_a_law_that_spoils_a_forecast_is_refused() -> None:
    def fixed(axes: Axes, shapes: FloatArray) -> FloatArray:
        beyond = np.maximum(axes.epoch - 5.0, 0.0)  # as the others up to there, and then a cliff
        return LAW.fixed(axes, shapes) - 0.3 * beyond[None]

    with pytest.raises(AssertionError, match=r"makes the forecast of .* worse"):
        check_law(replace(LAW, name="cliff", fixed=fixed))


StopAt = Callable[[Run, int, float], Any]


def asked(stop_at: StopAt, **settings: Any) -> str:
    """Return what the check says of a policy that answers so."""
    with pytest.raises(AssertionError) as caught:
        check_policy(StopPolicy("mine", "mine", stop_at, **settings))
    return str(caught.value)


def test_a_policy_that_waits_for_the_end_looks_ahead() -> None:
    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        losses = np.nan_to_num(watched(run).loss, nan=np.inf)
        return int(losses.argmin()) + 1  # known only when all is known

    assert "looks ahead" in asked(stop_at)


@pytest.mark.parametrize("answer", [0, -1, 10**6, True, 2.5, "3", np.float64(2)])
def test_a_policy_has_to_answer_with_an_evaluation(answer: object) -> None:
    assert f"stops at {answer!r}; with" in asked(lambda run, patience, threshold: answer)


def test_a_policy_may_answer_with_an_integer_of_numpy() -> None:
    first: Any = lambda run, patience, threshold: np.int64(1)
    check_policy(StopPolicy("first", "at once", first))


def test_a_policy_that_cannot_bear_nan_is_told_where_it_fails() -> None:
    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        return math.floor(float(np.sum(watched(run).loss))) and None

    assert "mine raised ValueError: cannot convert float NaN" in asked(stop_at)


def test_a_policy_that_writes_into_the_run_is_told_so() -> None:
    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        watched(run).loss[0] = 0.0
        return None

    assert "writes into its arguments" in asked(stop_at)


def test_a_policy_has_to_answer_the_same_again() -> None:
    calls = itertools.count()
    said = asked(lambda run, patience, threshold: 1 if next(calls) % 2 else None)
    assert "when it is asked again" in said


def test_more_patience_must_not_stop_earlier_unless_that_is_meant() -> None:
    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        return 1 if patience >= 3 else None

    assert "stops earlier (at 1) with patience 3" in asked(stop_at)
    check_policy(StopPolicy("mine", "mine", stop_at), patience_delays=False)


def test_a_policy_may_refuse_settings_but_not_its_own() -> None:
    def stop_at(run: Run, patience: int, threshold: float) -> int | None:
        if threshold:
            raise UsageError("no threshold")
        return None

    check_policy(StopPolicy("mine", "mine", stop_at))
    assert "refuses its own settings: no threshold" in asked(stop_at, threshold=0.5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "Mine"}, "a name is lower case"),
        ({"name": "a:b"}, "a name is lower case"),
        ({"name": "keras"}, "ftadvise has one of that name"),
        ({"description": ""}, "no description"),
        ({"patience": 0}, "its own patience is 0"),
        ({"threshold": math.nan}, "its own threshold is nan"),
    ],
)
def test_a_policy_needs_a_name_a_description_and_sound_settings(
    changed: dict[str, Any], said: str
) -> None:
    policy = StopPolicy("mine", "mine", lambda run, patience, threshold: None)
    with pytest.raises(AssertionError, match=said):
        check_policy(replace(policy, **changed))
