"""Rounding to bfloat16 at random is right in the mean, and its bits depend on nothing else."""

from __future__ import annotations

import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftadvise_trainer.bf16.rounding import (
    high_half,
    key,
    low_half,
    nearest,
    random_bits,
    stochastic,
)

ALL_NOISE = torch.arange(1 << 16, dtype=torch.int32)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)


def neighbours(value: float) -> tuple[float, float]:
    """The bfloat16 towards zero from a float32, and the one away from it."""
    word = struct.unpack("<I", struct.pack("<f", value))[0] & 0xFFFF0000
    away = word if struct.unpack("<f", struct.pack("<I", word))[0] == value else word + 0x10000
    low, high = (struct.unpack("<f", struct.pack("<I", w))[0] for w in (word, away))
    return low, high


def scalar(value: int) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.int32)


def bits(count: int, seed: int = 1, step: int = 1, place: int = 0, start: int = 0) -> torch.Tensor:
    return random_bits(count, scalar(start), scalar(key(seed, step, place)))


@given(FINITE)
def test_a_number_is_rounded_to_one_of_its_two_neighbours(value: float) -> None:
    rounded = stochastic(torch.full((1 << 16,), value), ALL_NOISE).double()
    low, high = neighbours(value)
    assert set(rounded.tolist()) <= {low, high}


@given(FINITE.filter(lambda value: math.isfinite(neighbours(value)[1])))
def test_the_mean_over_all_noise_is_the_number_itself(value: float) -> None:
    rounded = stochastic(torch.full((1 << 16,), value), ALL_NOISE).double()
    assert float(rounded.mean()) == value


@given(st.integers(0, 0xFFFF))
def test_what_bfloat16_has_exactly_stays_as_it_is(word: int) -> None:
    bf16 = torch.tensor([word], dtype=torch.int32).bitwise_left_shift(16).view(torch.float32)
    rounded = stochastic(bf16, scalar(0xFFFF)).float()
    assert torch.equal(rounded, bf16) or bool(rounded.isnan() & bf16.isnan())


def test_infinities_and_nan_pass() -> None:
    values = torch.tensor([math.inf, -math.inf, math.nan])
    for noise in (0, 1, 0xFFFF):
        assert str(stochastic(values, scalar(noise)).tolist()) == "[inf, -inf, nan]"
    assert str(nearest(values).tolist()) == "[inf, -inf, nan]"


@given(st.lists(st.floats(width=32), min_size=1, max_size=64))
def test_nearest_rounds_as_torch_does(values: list[float]) -> None:
    wanted = torch.tensor(values, dtype=torch.float32)
    assert torch.equal(nearest(wanted).nan_to_num(7.0), wanted.bfloat16().nan_to_num(7.0))


def test_ties_go_to_the_even_neighbour() -> None:
    ties = (torch.arange(1 << 15, dtype=torch.int32) << 16 | 0x8000).view(torch.float32)
    assert torch.equal(nearest(ties).nan_to_num(7.0), ties.bfloat16().nan_to_num(7.0))


def test_each_bit_is_set_half_of_the_time() -> None:
    drawn = bits(1 << 16)
    for place in range(32):
        share = float(((drawn >> place) & 1).double().mean())
        assert abs(share - 0.5) < 5 * 0.5 / 256, place


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"step": 2}, {"place": 1}, {"start": 1}, {"seed": 0}, {"place": -1}],
    ids=str,
)
def test_other_seeds_steps_parameters_and_elements_have_bits_of_their_own(
    other: dict[str, int],
) -> None:
    one, two = bits(1 << 16), bits(1 << 16, **other)
    for half in (low_half, high_half):
        pair = torch.stack([half(one), half(two)]).double()
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 5 / 256


def test_the_two_halves_of_the_bits_have_nothing_in_common() -> None:
    drawn = bits(1 << 16)
    pair = torch.stack([low_half(drawn), high_half(drawn)]).double()
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 5 / 256
    assert int(low_half(drawn).min()) >= 0
    assert int(high_half(drawn).max()) <= 0xFFFF


def test_a_part_of_a_parameter_draws_what_it_would_as_part_of_the_whole() -> None:
    assert torch.equal(bits(100, start=50), bits(150)[50:])


def mixed(word: int) -> int:
    """lowbias32, as it was published, in Python's integers."""
    word = ((word ^ word >> 16) * 0x7FEB352D) % 2**32
    word = ((word ^ word >> 15) * 0x846CA68B) % 2**32
    return word ^ word >> 16


@given(st.integers(0, 2**40), st.integers(0, 10**6), st.integers(0, 10**4))
def test_the_bits_are_those_of_the_hash_in_whole_numbers(
    start: int, step: int, place: int
) -> None:
    start = start % 2**32 - 2**31  # a tensor of more than 2^31 elements counts on below zero
    named = key(42, step, place)
    wanted = [mixed(mixed((start + i) % 2**32) ^ named % 2**32) for i in range(3)]
    found = bits(3, seed=42, step=step, place=place, start=start)
    assert [word % 2**32 for word in found.tolist()] == wanted
