"""What counts as a number in the cells of a table."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ftadvise.readers.series.tables import number


@given(
    st.text(alphabet="0123456789+-.eEnaif_ \t\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028", max_size=9)
)
@example("\x1c1")
@example("1.5\x1f")
def test_text_is_a_number_or_none_and_never_an_error(text: str) -> None:
    found = number(text)
    assert found is None or repr(found) == repr(float(text.strip()))


def test_white_space_of_any_kind_around_a_number_is_left_out() -> None:
    assert number("\x1c 1.5\x1f") == 1.5
    assert number("1 5") is None
