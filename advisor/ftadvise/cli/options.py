"""What values of options must be, beyond their types."""

from __future__ import annotations

import math

import click


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinity, which click takes for numbers."""
    if value is None or math.isfinite(value):
        return value
    raise click.BadParameter(f"{value} is not a finite number", ctx, param)


def above_zero(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse what is not a finite number above zero."""
    if value is None or (math.isfinite(value) and value > 0):
        return value
    raise click.BadParameter(f"{value} is not a number above zero", ctx, param)
