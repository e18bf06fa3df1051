from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import ftadvise
from ftadvise.reports.axes import Axis, loss_axis, ticks
from ftadvise.reports.canvas import Canvas, Layer
from ftadvise.reports.chart import chart
from ftadvise.run import Run, Series, as_floats

if TYPE_CHECKING:
    from ftadvise.advice import Advice


def advice(losses: list[float], epochs: list[float] | None = None) -> Advice:
    epoch = as_floats(epochs or [float(i + 1) for i in range(len(losses))])
    nowhere = as_floats([math.nan] * len(losses))
    return ftadvise.advise(Run(eval=Series("eval_loss", nowhere, epoch, as_floats(losses))))


def shown(losses: list[float], width: int = 80) -> str:
    return "\n".join(chart(advice(losses), width))


def test_a_line_on_the_canvas_joins_its_ends() -> None:
    canvas = Canvas(4, 2, ascii_only=True)
    canvas.line([(0.0, 0.0), (1.0, 1.0)], Layer(0, "*"))
    assert canvas.lines() == ["  **", "**"]


def test_braille_has_eight_dots_to_a_cell() -> None:
    canvas = Canvas(1, 1, ascii_only=False)
    for column in range(2):
        for row in range(4):
            canvas.dot(column, row, Layer(0, "*"))
    assert canvas.lines() == ["⣿"]


def test_a_mark_covers_the_dots_below_it() -> None:
    canvas = Canvas(3, 1, ascii_only=True)
    canvas.line([(0.0, 0.0), (1.0, 0.0)], Layer(0, "-"))
    canvas.mark(0.5, 0.0, "o", str)
    canvas.upright(0.0, "|", str)
    assert canvas.lines() == ["-o-"]


def test_the_loss_is_drawn_in_logarithms_when_it_spans_more_than_a_factor_of_ten() -> None:
    assert loss_axis([0.03, 3.0]).log
    assert not loss_axis([1.0, 3.0]).log
    assert not loss_axis([-1.0, 3.0]).log
    assert not loss_axis([0.0, 3.0]).log


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        (0.03, 3.1, True),
        (1e-6, 1e4, True),
        (1.0, 1.01, False),
        (-5.0, 5.0, False),
        (0.9, 11.0, True),
    ],
)
@pytest.mark.parametrize("most", [3, 5, 9])
def test_ticks_are_few_and_lie_on_the_axis(low: float, high: float, log: bool, most: int) -> None:
    found = ticks(Axis(low, high, log), most)
    assert 1 <= len(found) <= most
    assert found == sorted(set(found))
    assert all(low <= value <= high for value in found)


def test_the_chart_marks_the_best_point_and_where_overfitting_begins() -> None:
    text = shown([2.0, 1.4, 1.1, 1.0, 1.1, 1.25, 1.4, 1.6])
    assert "● best" in text
    assert text.count("●") == 2
    assert "┊ overfitting" in text
    assert text.count("┊") > 5


def test_a_log_without_eval_loss_has_one_curve() -> None:
    nowhere, epoch = as_floats([math.nan] * 5), as_floats([1, 2, 3, 4, 5])
    run = Run(train=Series("loss", nowhere, epoch, as_floats([3, 2, 1.5, 1.2, 1.1])))
    legend = chart(ftadvise.advise(run), 80)[-1]
    assert legend.startswith("○ train loss  ● best")
    assert "eval" not in legend


@pytest.mark.parametrize(
    "losses",
    [
        [1.0, 1.0, 1.0, 1.0],
        [2.0, 1.0],
        [1e-9, 1e-10, 1e-11, 1e-12],
        [1e8, 1e7, 1e9, 1e6],
        [-1.0, -2.0, -2.5, -2.4],
        [0.0, 0.0, 0.0],
        [3.0, math.nan, 2.0, math.nan, 1.5, 1.4],
    ],
)
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("width", [40, 100])
def test_any_losses_can_be_drawn(losses: list[float], ascii_only: bool, width: int) -> None:
    lines = chart(advice(losses), width, ascii_only)
    assert 9 <= len(lines) <= 20
    assert max(map(len, lines)) <= width


def test_a_long_log_is_drawn_as_a_line_without_marks() -> None:
    rng = np.random.default_rng(0)
    losses = (1 + 2 * np.exp(-np.arange(500) / 60) + 0.02 * rng.standard_normal(500)).tolist()
    lines = chart(advice(losses), 80)
    assert not any("○" in line for line in lines[:-1])


def test_without_a_forecast_there_is_no_band() -> None:
    bare = replace(advice([2.0, 1.5, 1.2, 1.1]), ahead=())
    assert "forecast" not in "\n".join(chart(bare, 80))
