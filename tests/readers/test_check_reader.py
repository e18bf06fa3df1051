"""The conformance check for readers catches every broken promise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ftadvise.errors import LogError
from ftadvise.readers.source import Reader, Source
from ftadvise.run import Run, Series, as_floats
from ftadvise.testing import check_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = Run(train=Series("loss", as_floats([1, 2]), as_floats([0.1, 0.2]), as_floats([3.0, 2.0])))


def only_a(source: Source) -> None:
    if source.text != "a a":
        raise LogError("not mine")


def reader(
    make: Callable[[Source], Any], sniff: Callable[[Source], Any] = lambda _: 0.5
) -> Reader:
    return Reader("mine", "two words", sniff, make)


def gives(value: Any) -> Reader:
    def read(source: Source) -> Any:
        only_a(source)
        return value

    return reader(read)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.txt"
    path.write_text("a a")
    return path


def test_a_reader_that_keeps_its_promises_passes(good: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("b")
    check_reader(gives([GOOD]), [good], [bad])


def raises(_: Source) -> Any:
    raise KeyError("x")


def train(**arrays: Any) -> list[Run]:
    return [replace(GOOD, train=replace(GOOD.train, **arrays))]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (replace(gives([GOOD]), name="Mine"), "lower case"),
        (reader(raises), "raised KeyError"),
        (reader(gives([GOOD]).read, raises), "sniff raised KeyError"),
        (reader(gives([GOOD]).read, lambda _: 2), "not a number from 0 to 1"),
        (reader(gives([GOOD]).read, lambda _: 0.0), "sniff does not know it"),
        (reader(lambda _: [GOOD]), "read, though it is a bad file"),
        (gives((GOOD,)), "not a list"),
        (gives([]), "no run"),
        (gives([None]), "NoneType"),
        (gives([Run()]), "without any loss"),
        (gives(train(key=None)), "key is not its name"),
        (gives(train(loss=as_floats([1.0]))), "different lengths"),
        (gives(train(loss=np.array([1, 2]))), "not float64"),
        (gives(train(loss=np.array([1.0, np.inf]))), "infinities"),
        (gives(train(step=as_floats([2, 1]))), "goes back"),
        (gives([replace(GOOD, planned_epochs=-1.0)]), "a plan of"),
        (gives([replace(GOOD, nonfinite={"loss": 0})]), "zero in nonfinite"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_named(
    good: Path, tmp_path: Path, broken: Reader, message: str
) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("b")
    with pytest.raises(AssertionError, match=message):
        check_reader(broken, [good], [bad])
