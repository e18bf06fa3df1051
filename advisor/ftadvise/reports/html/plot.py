"""What a chart shows, free of how it is drawn: the SVG and the script draw the same `Plot`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise.numbers import short
from ftadvise.reports.axes import LOG_FROM, Axis, loss_axis
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.run import FloatArray

_POWER = re.compile(r"e\+?(-?)0*(\d)")
LONG_NUMBER = 1e5  # from here on labels have powers of ten
DIGITS = 6  # of a number in the data of a chart: finer than any screen


@dataclass(frozen=True, eq=False)
class Line:
    """One curve.

    Attributes:
        name: What it is called in the legend.
        role: What it shows, which gives its colour: see `ftadvise.reports.html.palette`.
        kind: `"line"`, `"dash"`, `"thin"` or `"points"`.
        x: Places, rising, shape (n,).
        y: Losses, finite, shape (n,).
    """

    name: str
    role: str
    kind: str
    x: FloatArray
    y: FloatArray


@dataclass(frozen=True, eq=False)
class Band:
    """What lies between two curves, such as an interval; arrays of one shape (n,)."""

    name: str
    role: str
    x: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Upright:
    """A place on the horizontal axis that is marked, with the stretch in which it may lie.

    Attributes:
        name: What it is called in the legend.
        role: See `Line`.
        x: The place.
        label: A few words at its end; empty for none.
        foot: Whether they stand at the lower end rather than at the upper.
        low: Start of the stretch; None for none.
        high: Its end.
    """

    name: str
    role: str
    x: float
    label: str = ""
    foot: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Dot:
    """One point that is marked."""

    name: str
    role: str
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Plot:
    """A chart of losses.

    Attributes:
        said: What can be seen, in a sentence: for those who cannot see it.
        unit: What the horizontal axis counts.
        lines: The curves, the most important last.
        bands: Drawn below them.
        uprights: Marked places.
        dots: Marked points.
        x: The horizontal axis.
        y: The vertical axis, linear.
        y_log: The vertical axis in logarithms; None where a loss is not positive.
        log: Whether it is logarithmic unless asked for otherwise.
        whole: Whether the horizontal axis counts whole numbers only.
    """

    said: str
    unit: str
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]
    uprights: tuple[Upright, ...]
    dots: tuple[Dot, ...]
    x: Axis
    y: Axis
    y_log: Axis | None
    log: bool
    whole: bool = False

    @property
    def y_axis(self) -> Axis:
        """The vertical axis to begin with."""
        return self.y_log if self.log and self.y_log is not None else self.y

    @property
    def dotted(self) -> bool:
        """Whether every logged value is drawn."""
        return any(line.kind == "points" for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the chart as strict JSON for the script, with numbers in few digits."""
        return {
            "said": clean(self.said, 600),
            "unit": self.unit,
            "whole": self.whole,
            "x": [number(self.x.low), number(self.x.high)],
            "y": [number(self.y.low), number(self.y.high)],
            "ylog": [number(self.y_log.low), number(self.y_log.high)] if self.y_log else None,
            "log": self.log and self.y_log is not None,
            "lines": [
                {
                    "name": clean(one.name, 120),
                    "role": one.role,
                    "kind": one.kind,
                    "x": numbers(one.x),
                    "y": numbers(one.y),
                }
                for one in self.lines
            ],
            "bands": [
                {
                    "role": one.role,
                    "x": numbers(one.x),
                    "low": numbers(one.low),
                    "high": numbers(one.high),
                }
                for one in self.bands
            ],
            "uprights": [
                {
                    "role": one.role,
                    "x": number(one.x),
                    "label": one.label,
                    "foot": one.foot,
                    "low": None if one.low is None else number(one.low),
                    "high": None if one.high is None else number(one.high),
                }
                for one in self.uprights
            ],
            "dots": [
                {"role": one.role, "x": number(one.x), "y": number(one.y)} for one in self.dots
            ],
        }


def number(value: float) -> float | int:
    """Return a finite number in few digits, whole ones without a point."""
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e9 else rounded


def numbers(values: FloatArray) -> list[float | int]:
    """Return finite numbers in few digits."""
    return [number(value) for value in values.tolist()]


def y_axes(values: Iterable[float]) -> tuple[Axis, Axis | None, bool]:
    """Return a linear and a logarithmic axis for losses, and whether the latter shows them better.

    Args:
        values: The losses that have to be in sight, at least one.
    """
    told = list(values)
    low, high = min(told), max(told)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    floor = 0.0 if low >= 0 and low - margin < 0 else low - margin
    even = Axis(floor, high + margin)
    if low <= 0:
        return even, None, False
    part = (high / low) ** 0.05 if high > low else 1.05
    log = Axis(low / part, high * part, log=True)
    return even, log, high > LOG_FROM * low and loss_axis(told).log


def usual(values: FloatArray) -> list[float]:
    """Return the range of `values`, without the outermost of a long curve such as a first value."""
    if values.size <= 20:
        return [float(value) for value in values]
    low, high = np.quantile(values, [0.02, 0.98])
    return [float(low), float(high)]


def settled(x: FloatArray, y: FloatArray, after: float = 0.1) -> list[float]:
    """Return the range of a curve without its steep beginning, which would hide the rest.

    Args:
        x: Places, rising, shape (n,).
        y: Losses, shape (n,).
        after: Share of the way from which on it is looked at.
    """
    later = y[x >= x[0] + after * (x[-1] - x[0])]
    kept = later if later.size >= 2 else y
    return [float(kept.min()), float(kept.max())]


def worded(value: float) -> str:
    """Return a number for a label, as in `0.05`, `−3`, `2e6` or `1e−7`."""
    text = short(value) if abs(value) < LONG_NUMBER else f"{value:.3g}"
    return _POWER.sub(r"e\1\2", text).replace("-", "−")
