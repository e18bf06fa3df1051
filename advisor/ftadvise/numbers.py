"""Numbers as people read them in messages and reports."""

from __future__ import annotations

import math


def short(x: float) -> str:
    """Return `x` with four significant digits, as in `0.0349` or `2.96`.

    Large numbers keep all digits before the point, so that steps stay steps: `120000`.
    """
    if not math.isfinite(x):
        return str(float(x))
    text = f"{x:.0f}" if 1e3 <= abs(x) < 1e15 else f"{x:.4g}"
    return "0" if text == "-0" else text


def percent(x: float) -> str:
    """Return the share `x` in per cent with two or three digits, as in `4.3 %` or `98.8 %`."""
    if not math.isfinite(x):
        return f"{float(x)} %"
    value = 100.0 * x
    if 99.95 <= abs(value) < 1e15:
        text = f"{value:.0f}"
    elif 9.95 <= abs(value) < 99.95:
        text = f"{value:.1f}".removesuffix(".0")
    else:
        text = f"{value:.2g}"
    return f"{'0' if text == '-0' else text} %"


def chance(share: float) -> str:
    """Return a probability in whole per cent, never as a certainty."""
    if share < 0.01:
        return "<1 %"
    return ">99 %" if share > 0.99 else f"{share:.0%}".replace("%", " %")


def count(n: int, noun: str) -> str:
    """Return `n` with its noun, as in `1 point` or `3 points`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
