"""Rows of packed examples, from their lengths alone."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftadvise_trainer.data.packing import group, pack, pack_all, padding_share, width

LENGTHS = st.lists(st.integers(1, 300), max_size=60)
BUDGET = st.integers(1, 400)
RANKS = st.integers(1, 4)


def sums(rows: list[tuple[int, ...]], lengths: list[int]) -> list[int]:
    return [sum(lengths[place] for place in row) for row in rows]


def fewest(lengths: list[int], budget: int) -> int:
    """Return the fewest rows there can be, by looking at every way."""

    def into(places: int, rest: tuple[int, ...], free: tuple[int, ...]) -> bool:
        if not rest:
            return True
        first, *others = rest
        for row, room in enumerate(free):
            if room >= first and room not in free[:row]:
                left = (*free[:row], room - first, *free[row + 1 :])
                if into(places, tuple(others), left):
                    return True
        return False

    order = tuple(sorted(lengths, reverse=True))
    return next(n for n in itertools.count() if into(n, order, (budget,) * n))


@given(LENGTHS, BUDGET, RANKS)
def test_every_example_stands_in_exactly_one_row(
    lengths: list[int], budget: int, ranks: int
) -> None:
    for rows in (pack(lengths, budget, ranks=ranks), pack_all(lengths, budget, ranks=ranks)):
        assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
        assert len(rows) % ranks == 0
        assert rows


@given(LENGTHS, BUDGET, RANKS)
def test_no_row_is_over_the_budget_unless_it_is_one_example(
    lengths: list[int], budget: int, ranks: int
) -> None:
    for rows in (pack(lengths, budget, ranks=ranks), pack_all(lengths, budget, ranks=ranks)):
        for row, tokens in zip(rows, sums(rows, lengths), strict=True):
            assert tokens <= budget or len(row) == 1


@settings(max_examples=40)
@given(st.lists(st.integers(1, 20), max_size=8), st.integers(20, 40))
def test_there_are_hardly_more_rows_than_the_fewest(lengths: list[int], budget: int) -> None:
    best = fewest(lengths, budget)
    assert len([row for row in pack(lengths, budget) if row]) <= 11 / 9 * best + 6 / 9


@given(LENGTHS, st.integers(300, 400))
def test_two_rows_together_are_never_within_the_budget(lengths: list[int], budget: int) -> None:
    filled = sorted(sums(pack_all(lengths, budget), lengths))
    assert len(filled) < 2 or filled[0] + filled[1] > budget


def test_a_batch_that_needs_two_rows_is_halved_and_not_cut_at_the_budget() -> None:
    rows = pack([1000] * 40, 32_000)
    assert sums(rows, [1000] * 40) == [20_000, 20_000]


@given(st.lists(st.integers(50, 300), min_size=20, max_size=60), st.integers(1000, 3000))
def test_the_longest_row_is_near_the_mean_of_the_rows(lengths: list[int], budget: int) -> None:
    filled = sums(pack(lengths, budget), lengths)
    assert max(filled) <= sum(filled) / len(filled) + max(lengths)


@given(LENGTHS, BUDGET, RANKS)
def test_the_same_lengths_give_the_same_rows(lengths: list[int], budget: int, ranks: int) -> None:
    assert pack(lengths, budget, ranks=ranks) == pack(tuple(lengths), budget, ranks=ranks)


def test_an_example_that_is_longer_than_a_row_has_one_to_itself() -> None:
    assert pack([3, 50, 4, 2], 10) == [(1,), (0, 2, 3)]


def test_at_the_same_place_the_rows_of_two_ranks_are_about_as_long() -> None:
    lengths = [700, 20, 650, 90, 600, 40, 550, 300, 10, 500, 450, 60]
    filled = sums(pack(lengths, 1200, ranks=2), lengths)
    assert len(filled) == 4
    for one, other in itertools.pairwise(filled):
        assert abs(one - other) < 150


@given(LENGTHS, st.integers(1, 9), RANKS)
def test_groups_to_be_padded_hold_every_example_once_and_are_of_one_size(
    lengths: list[int], examples: int, ranks: int
) -> None:
    groups = group(lengths, examples, ranks=ranks)
    assert sorted(place for one in groups for place in one) == list(range(len(lengths)))
    sizes = [len(one) for one in groups]
    assert max(sizes) <= examples
    assert max(sizes) - min(sizes) <= 1
    assert len(groups) == ranks * max(math.ceil(len(lengths) / (examples * ranks)), 1)


@pytest.mark.parametrize(
    ("tokens", "multiple", "places"),
    [(0, 1, 1), (0, 128, 128), (129, 128, 256), (128, 128, 128), (5, 1, 5)],
)
def test_a_row_is_rounded_up_to_a_multiple(tokens: int, multiple: int, places: int) -> None:
    assert width(tokens, multiple) == places


def test_the_share_of_padding_is_that_of_places_without_a_token() -> None:
    assert padding_share([3, 5], [8, 2]) == pytest.approx(0.2)
    assert padding_share([], []) == 0.0
