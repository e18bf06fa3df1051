"""Which curves the chart of several runs shows: that of each which its advice rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.reports.axes import Axis
from ftadvise.reports.html.extremes import thinned
from ftadvise.reports.html.plot import Line, Plot, settled, y_axes
from ftadvise.reports.html.this_run import points
from ftadvise.thinning import epochs_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice


def overlay(named: Sequence[tuple[str, Advice]], most: int) -> Plot | None:
    """Return the judged curves of several runs in one chart; None where there are none.

    Args:
        named: What each is called, and its advice.
        most: Points of a curve.
    """
    lines: list[Line] = []
    for name, advice in named:
        x, y = thinned(*points(advice.run, advice.fit.series), most)
        if x.size >= 2:
            lines.append(Line(name, f"run{len(lines)}", "line", x, y))
    if not lines:
        return None
    even, log, in_log = y_axes(value for line in lines for value in settled(line.x, line.y))
    known = all(epochs_known(advice.run) for _, advice in named)
    return Plot(
        said=f"Losses of {len(lines)} runs over their epochs.",
        unit="epoch" if known else "epoch, or share of the run",
        lines=tuple(lines),
        bands=(),
        uprights=(),
        dots=(),
        x=Axis(0.0, max(float(line.x[-1]) for line in lines) or 1.0),
        y=even,
        y_log=log,
        log=in_log,
    )
