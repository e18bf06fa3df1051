"""The axes of a chart: from numbers to places between 0 and 1, and the ticks worth a label."""

from __future__ import annotations

import math
from dataclasses import dataclass

LOG_FROM = 10.0  # a range of more than this ratio is drawn in logarithms


@dataclass(frozen=True)
class Axis:
    """One axis, linear or logarithmic.

    Attributes:
        low: Value at 0.
        high: Value at 1.
        log: Whether it is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where `value` lies, 0 at the low end and 1 at the high end."""
        if self.log:
            whole = math.log(self.high / self.low)
            return math.log(max(value, 1e-300) / self.low) / whole
        return (value - self.low) / (self.high - self.low)


def loss_axis(values: list[float]) -> Axis:
    """Return an axis that shows all `values`, logarithmic where they span a wide range."""
    low, high = min(values), max(values)
    if low > 0 and high > LOG_FROM * low:
        return Axis(low / 1.05, high * 1.05, log=True)
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - margin, high + margin)


def ticks(axis: Axis, most: int) -> list[float]:
    """Return at most `most` round numbers that lie on `axis`, rising."""
    if axis.log:
        found = _log_ticks(axis, most)
        if len(found) >= 2:
            return found
    return _even_ticks(axis, most)


def _log_ticks(axis: Axis, most: int) -> list[float]:
    decades = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    for parts in ((1, 2, 5), (1, 3), (1,)):
        found = [p * 10.0**d for d in decades for p in parts if _on(axis, p * 10.0**d)]
        if len(found) <= most:
            return found
    apart = math.ceil(len(found) / most)
    return found[::apart]


def _even_ticks(axis: Axis, most: int) -> list[float]:
    raw = (axis.high - axis.low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    for step in (size, 2 * size, 5 * size, 10 * size, 20 * size):
        first = math.ceil(axis.low / step - 1e-9)
        last = math.floor(axis.high / step + 1e-9)
        if last - first + 1 <= most:
            return [float(f"{k * step:.12g}") for k in range(first, last + 1)]
    return []


def _on(axis: Axis, value: float) -> bool:
    return axis.low <= value <= axis.high
