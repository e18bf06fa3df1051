"""The loss curves on axes of matplotlib, which is imported here alone and only when asked for."""

# The keywords of matplotlib have no types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftadvise.errors import UsageError
from ftadvise.reports.html.palette import colour
from ftadvise.reports.notebook_curves import chart_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ftadvise.advice import Advice
    from ftadvise.fitting import Fit
    from ftadvise.reports.html.plot import Plot
    from ftadvise.run import Run

MOST_POINTS = 20_000  # of a curve, its lowest and highest kept: more than any figure is wide
_STYLES: dict[str, dict[str, Any]] = {
    "line": {"lw": 1.8},
    "dash": {"lw": 1.6, "ls": "--"},
    "thin": {"lw": 0.8},
    "points": {"ls": "", "marker": "o", "ms": 4, "alpha": 0.6},
}


def plot(thing: Run | Fit | Advice, ax: Axes | None = None) -> Axes:
    """Draw the losses of `thing` over epochs; see `ftadvise.display.Plottable.plot`."""
    chart = chart_of(thing, MOST_POINTS)
    if chart is None:
        raise UsageError("there are fewer than two finite losses, and no curve to draw")
    axes = _new_axes() if ax is None else ax
    _draw(axes, chart)
    axes.set_xlabel(chart.unit)
    axes.set_ylabel("loss")
    axes.set_yscale("log" if chart.log else "linear")
    axes.set_xlim(chart.x.low, None)
    axes.set_ylim(chart.y_axis.low, chart.y_axis.high)
    axes.legend(frameon=False)
    return axes


def _new_axes() -> Axes:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "drawing needs matplotlib, which is not installed",
            hint="pip install 'ftadvise[plot]'",
        ) from None
    axes: Axes = Figure(figsize=(7.0, 4.0), layout="constrained").add_subplot()
    return axes


def _draw(axes: Axes, chart: Plot) -> None:
    for band in chart.bands:
        axes.fill_between(
            band.x, band.low, band.high, color=colour(band.role), alpha=0.16, lw=0, label=band.name
        )
    for line in chart.lines:
        style = _STYLES[line.kind]
        axes.plot(line.x, line.y, color=colour(line.role), label=line.name, **style)
    for dot in chart.dots:
        axes.plot(
            [dot.x], [dot.y], color=colour(dot.role), marker="o", ms=8, ls="", label=dot.name
        )
    for mark in chart.uprights:
        axes.axvline(mark.x, color=colour(mark.role), ls=":", label=mark.name)
        if mark.low is not None and mark.high is not None:
            axes.axvspan(mark.low, mark.high, color=colour(mark.role), alpha=0.1, lw=0)
