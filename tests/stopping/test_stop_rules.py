"""The stop rules against tables of worked cases, and against what must hold for every curve."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftadvise.errors import UsageError
from ftadvise.stopping import (
    cumulative_stop,
    lightning_stop,
    rises_while_train_falls,
    transformers_stop,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.run import FloatArray
    from ftadvise.stopping import IntArray

    Rule = Callable[[FloatArray, int, float], IntArray]
    Case = tuple[list[float], int, float, int | None]

NEVER = None
DRIFT = [1 - 0.004 * i for i in range(60)]


def lightning_without_check(losses: FloatArray, patience: int, min_delta: float) -> IntArray:
    return lightning_stop(losses, patience, min_delta, check_finite=False)


RULES: list[Rule] = [transformers_stop, cumulative_stop, lightning_stop, lightning_without_check]


def stop_of(rule: Rule, losses: list[float], patience: int, threshold: float) -> int | None:
    stop = int(rule(np.array(losses, dtype=np.float64), patience, threshold))
    return stop if stop <= len(losses) else NEVER


# losses, patience, threshold, evaluations done at the stop
FINITE: list[Case] = [
    ([], 1, 0.0, NEVER),
    ([1.0], 1, 0.0, NEVER),  # the first evaluation always improves
    ([3.0, 2.0, 1.0], 1, 0.0, NEVER),
    ([1.0, 2.0], 1, 0.0, 2),
    ([1.0, 1.0], 1, 0.0, 2),  # a plateau does not improve
    ([1.0, 2.0], 2, 0.0, NEVER),
    ([1.0, 2.0, 3.0], 2, 0.0, 3),
    ([1.0, 2.0, 1.5, 1.2], 3, 0.0, 4),  # counted against the best, not the one before
    ([1.0, 2.0, 0.5, 2.0, 2.0], 2, 0.0, 5),  # an improvement starts the count again
    ([1.0, 2.0, 0.5, 2.0, 0.4], 2, 0.0, NEVER),
    ([1.0, 2.0, 2.0, 0.1], 2, 0.0, 3),  # what comes after the stop does not matter
    ([1.0, 0.5], 1, 0.5, 2),  # a gain of exactly the threshold is none
    ([1.0, 0.25], 1, 0.5, NEVER),
    ([1.0, 2.0, 3.0], 10**30, 0.0, NEVER),
]
NOT_FINITE: list[tuple[list[float], int, int | None, int | None, int | None, int | None]] = [
    # losses, patience, then transformers, Keras, Lightning, Lightning(check_finite=False)
    ([nan], 1, NEVER, NEVER, 1, 1),
    ([nan, nan], 1, 2, 2, 1, 1),
    ([nan, 1.0, 0.9], 1, NEVER, 2, 1, 1),  # Keras never beats a first NaN
    ([nan, 1.0, 0.9], 2, NEVER, 3, 1, NEVER),
    ([nan, inf, 1.0], 1, 2, 2, 1, 1),
    ([nan, inf, 1.0], 3, NEVER, NEVER, 1, NEVER),
    ([inf, inf], 1, 2, 2, 1, 1),
    ([inf, 1.0], 1, NEVER, NEVER, 1, 1),
    ([inf, 1.0], 2, NEVER, NEVER, 1, NEVER),
    ([1.0, nan], 1, 2, 2, 2, 2),
    ([1.0, nan, 0.5], 2, NEVER, NEVER, 2, NEVER),
    ([1.0, nan, nan], 2, 3, 3, 2, 3),
    ([1.0, -inf, -inf], 1, 3, 3, 2, 3),
]
# eval losses, train losses, patience, evaluations done at the stop
OVERFITTING: list[tuple[list[float], list[float], int, int | None]] = [
    ([], [], 1, NEVER),
    ([1.0], [1.0], 1, NEVER),
    ([1.0, 1.1], [1.0, 0.9], 1, 2),
    ([1.0, 1.1], [1.0, 1.1], 1, NEVER),  # both rise: not overfitting but trouble
    ([1.0, 0.9], [1.0, 0.9], 1, NEVER),
    ([1.0, 1.0], [1.0, 0.9], 1, NEVER),
    ([1.0, 1.1], [1.0, 1.0], 1, NEVER),
    ([1.0, 1.1, 1.2], [1.0, 0.9, 0.8], 2, 3),
    ([1.0, 1.1, 1.0, 1.1], [1.0, 0.9, 0.8, 0.7], 2, NEVER),  # not in a row
    ([1.0, 1.1, 1.0, 1.1, 1.2], [1.0, 0.9, 0.8, 0.7, 0.6], 2, 5),
    ([1.0, 1.1, nan, 1.2, 1.3], [1.0, 0.9, 0.8, 0.7, 0.6], 2, NEVER),  # NaN ends the row
    ([1.0, 1.1, 1.2, 1.3], [1.0, 0.9, nan, 0.7], 2, NEVER),
    ([1.0, inf, inf], [1.0, 0.9, 0.8], 1, 2),
    ([nan, nan, nan], [nan, nan, nan], 1, NEVER),
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("losses", "patience", "threshold", "expected"), FINITE)
def test_all_rules_agree_on_finite_losses_without_drift(
    rule: Rule, losses: list[float], patience: int, threshold: float, expected: int | None
) -> None:
    assert stop_of(rule, losses, patience, threshold) == expected


@pytest.mark.parametrize(("losses", "patience", "hf", "keras", "pl", "unchecked"), NOT_FINITE)
def test_each_rule_treats_a_loss_that_is_not_finite_in_its_own_way(
    losses: list[float],
    patience: int,
    hf: int | None,
    keras: int | None,
    pl: int | None,
    unchecked: int | None,
) -> None:
    stops = [stop_of(rule, losses, patience, 0.0) for rule in RULES]
    assert stops == [hf, keras, pl, unchecked]


@pytest.mark.parametrize(("evals", "trains", "patience", "expected"), OVERFITTING)
def test_eval_must_rise_while_train_falls_at_evaluations_in_a_row(
    evals: list[float], trains: list[float], patience: int, expected: int | None
) -> None:
    stop = int(rises_while_train_falls(np.array(evals), np.array(trains), patience))
    assert stop == (len(evals) + 1 if expected is NEVER else expected)


def test_transformers_stops_a_run_that_drifts_down_by_less_than_the_threshold() -> None:
    assert stop_of(transformers_stop, DRIFT, 3, 0.01) == 4


@pytest.mark.parametrize("rule", [cumulative_stop, lightning_stop])
def test_keras_and_lightning_let_gains_below_the_threshold_add_up(rule: Rule) -> None:
    assert stop_of(rule, DRIFT, 3, 0.01) is NEVER


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("patience", "threshold"), [(0, 0.0), (-1, 0.0), (1, -0.1), (1, nan), (1, inf)]
)
def test_settings_that_make_no_sense_are_refused(
    rule: Rule, patience: int, threshold: float
) -> None:
    with pytest.raises(UsageError) as caught:
        rule(np.array([1.0]), patience, threshold)
    assert caught.value.code == "FT411"


def test_overfitting_rule_refuses_a_patience_below_one() -> None:
    with pytest.raises(UsageError):
        rises_while_train_falls(np.array([1.0]), np.array([1.0]), 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (2, 3, 0)])
def test_arrays_without_losses_never_stop(rule: Rule, shape: tuple[int, ...]) -> None:
    stops = rule(np.empty(shape), 1, 0.0)
    assert stops.shape == shape[:-1]
    assert (stops == shape[-1] + 1).all()


# What must hold for every curve. Losses are multiples of 1/64 so that ties and gains of exactly
# the threshold are common.

loss = st.one_of(
    st.integers(0, 256).map(lambda k: k / 64),
    st.floats(0, 10),
    st.sampled_from([nan, inf, -inf]),
)
curves = st.lists(loss, max_size=16)
patiences = st.integers(1, 5)
thresholds = st.sampled_from([0.0, 1 / 64, 0.01, 0.5])
rules = st.sampled_from(RULES)


@given(rules, curves, patiences, thresholds, st.integers(-20, 20))
def test_scaling_losses_and_threshold_by_a_power_of_two_changes_nothing(
    rule: Rule, losses: list[float], patience: int, threshold: float, power: int
) -> None:
    # a float64 that is denormal after scaling loses digits, so those are left out
    losses = [0.0 if abs(value) < 1e-200 else value for value in losses]
    scaled = [value * 2.0**power for value in losses]
    assert stop_of(rule, losses, patience, threshold) == stop_of(
        rule, scaled, patience, threshold * 2.0**power
    )


@given(rules, curves, patiences, thresholds)
def test_more_patience_never_stops_earlier(
    rule: Rule, losses: list[float], patience: int, threshold: float
) -> None:
    array = np.array(losses, dtype=np.float64)
    assert rule(array, patience + 1, threshold) >= rule(array, patience, threshold)


@given(rules, curves, patiences, thresholds, st.integers(0, 16))
def test_no_rule_looks_into_the_future(
    rule: Rule, losses: list[float], patience: int, threshold: float, length: int
) -> None:
    whole = stop_of(rule, losses, patience, threshold)
    seen = losses[:length]
    expected = whole if whole is not None and whole <= len(seen) else NEVER
    assert stop_of(rule, seen, patience, threshold) == expected


@given(rules, st.integers(0, 2**32 - 1), patiences, thresholds)
def test_many_curves_at_once_stop_where_each_stops_alone(
    rule: Rule, seed: int, patience: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.integers(0, 64, (2, 3, 8)) / 64
    losses[rng.random(losses.shape) < 0.2] = nan
    stops = rule(losses, patience, threshold)
    alone = [[int(rule(row, patience, threshold)) for row in rows] for rows in losses]
    assert stops.tolist() == alone
    assert stops.dtype == np.int64


@given(
    st.lists(st.tuples(loss, loss), max_size=12),
    patiences,
    st.integers(0, 12),
    st.integers(-20, 20),
)
def test_overfitting_rule_is_patient_scale_free_and_blind_to_the_future(
    pairs: list[tuple[float, float]], patience: int, length: int, power: int
) -> None:
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    table = np.where(np.abs(table) < 1e-200, 0.0, table)
    evals, trains = table
    stop = int(rises_while_train_falls(evals, trains, patience))
    assert rises_while_train_falls(evals, trains, patience + 1) >= stop
    assert rises_while_train_falls(evals * 2.0**power, trains * 2.0**power, patience) == stop
    both = rises_while_train_falls(np.stack([evals, trains]), np.stack([trains, evals]), patience)
    assert both.tolist() == [stop, int(rises_while_train_falls(trains, evals, patience))]
    seen = int(rises_while_train_falls(evals[:length], trains[:length], patience))
    assert seen == min(stop, len(evals[:length]) + 1)


# Keras and Lightning are no dependencies: what follows is their loop, line by line, as it stands
# in their source (mode "min", no baseline, no stopping or divergence threshold).


def keras_loop(losses: list[float], patience: int, min_delta: float) -> int | None:
    wait, best = 0, None
    for epoch, current in enumerate(losses):
        wait += 1
        if best is None or current - -min_delta < best:
            best, wait = current, 0
            continue
        if wait >= patience and epoch > 0:
            return epoch + 1
    return NEVER


def lightning_loop(
    losses: list[float], patience: int, min_delta: float, *, check_finite: bool
) -> int | None:
    wait_count, best_score = 0, inf
    for check, current in enumerate(losses):
        if check_finite and not np.isfinite(current):
            return check + 1
        if current - -min_delta < best_score:
            best_score, wait_count = current, 0
        else:
            wait_count += 1
            if wait_count >= patience:
                return check + 1
    return NEVER


@given(curves, patiences, thresholds)
def test_cumulative_rule_is_the_loop_of_keras(
    losses: list[float], patience: int, min_delta: float
) -> None:
    expected = keras_loop(losses, patience, min_delta)
    assert stop_of(cumulative_stop, losses, patience, min_delta) == expected


@given(curves, patiences, thresholds)
def test_lightning_rule_is_the_loop_of_lightning(
    losses: list[float], patience: int, min_delta: float
) -> None:
    checked = lightning_loop(losses, patience, min_delta, check_finite=True)
    assert stop_of(lightning_stop, losses, patience, min_delta) == checked
    unchecked = lightning_loop(losses, patience, min_delta, check_finite=False)
    assert stop_of(lightning_without_check, losses, patience, min_delta) == unchecked


@given(st.lists(st.integers(0, 256).map(lambda k: k / 64), max_size=16), patiences, thresholds)
def test_keras_and_lightning_agree_while_every_loss_is_finite(
    losses: list[float], patience: int, min_delta: float
) -> None:
    keras = stop_of(cumulative_stop, losses, patience, min_delta)
    assert stop_of(lightning_stop, losses, patience, min_delta) == keras
