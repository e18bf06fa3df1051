"""Numbers in messages."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftadvise.numbers import count, percent, short


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0349, "0.0349"),
        (2.96, "2.96"),
        (4.6, "4.6"),
        (5.0, "5"),
        (1 / 3, "0.3333"),
        (120_000.0, "120000"),
        (1234.5678, "1235"),
        (-0.25, "-0.25"),
        (2e-5, "2e-05"),
        (0.0, "0"),
        (-0.0, "0"),
        (1e20, "1e+20"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_a_number_is_shown_with_four_digits(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0429799, "4.3 %"),
        (0.98821, "98.8 %"),
        (1.0, "100 %"),
        (0.99961, "100 %"),
        (0.0999, "10 %"),
        (12.5, "1250 %"),
        (0.0, "0 %"),
        (0.00034, "0.034 %"),
        (math.inf, "inf %"),
    ],
)
def test_a_share_is_shown_in_per_cent(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_noun_follows_its_number() -> None:
    assert [count(n, "point") for n in (0, 1, 2)] == ["0 points", "1 point", "2 points"]


@given(st.floats(-1e300, 1e300))
def test_a_short_number_is_near_the_number(number: float) -> None:
    assert float(short(number)) == pytest.approx(number, rel=6e-4, abs=1e-320)
