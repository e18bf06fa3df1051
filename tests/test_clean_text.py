"""Text from logs is made safe to show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftadvise.text import clean


@pytest.mark.parametrize(
    ("dirty", "tidy"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07name", "name"),
        ("a\r\nb\tc", "a b c"),
        ("\u202egpj.exe\u2066\u200b", "gpj.exe"),
        ("\x9b2Jx\x85y", "x y"),
        ("0 \x1b\x850", "0 0"),
        ("损失 é", "损失 é"),
        (3.5, "3.5"),
    ],
)
def test_what_moves_the_cursor_or_hides_text_is_removed(dirty: object, tidy: str) -> None:
    assert clean(dirty) == tidy


def test_long_text_is_cut() -> None:
    assert clean("x" * 10_000, 20) == "x" * 19 + "…"


@given(st.text())
def test_the_result_is_one_line_without_controls(text: str) -> None:
    tidy = clean(text, 50)
    assert len(tidy) <= 50
    assert len(tidy.splitlines()) <= 1
    assert not any(
        ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0x202A <= ord(c) <= 0x202E for c in tidy
    )
    assert clean(tidy, 50) == tidy
