"""A chart as SVG: what is seen without a script, on paper and in notebooks.

Colours are attributes, so that the picture can stand alone on any page; ink is the colour of the
text around it, so that it can be read on a dark page too. A page may set other colours by class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ftadvise.reports.axes import Axis, ticks
from ftadvise.reports.html.legend import STROKES, signs, swatch
from ftadvise.reports.html.palette import colour
from ftadvise.reports.html.plot import Line, Plot, Upright, worded
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


LETTER = 6.6  # usual width of a letter at the size of the labels, in pixels
_ROWS = 3  # of labels over one another
_ROW = 15  # pixels
_MANY = 150  # points above which they are drawn smaller


def draw(plot: Plot, width: int = 720, height: int = 340, legend: bool = False) -> str:
    """Return a chart as one `<svg>` element that can stand alone: no script, style sheet or ids.

    Args:
        plot: What to draw.
        width: Pixels across; the picture shrinks with the page.
        height: Pixels down, the legend not counted.
        legend: Whether its legend stands below it.
    """
    frame = _Frame.around(plot, width, height)
    below = _legend(plot, frame) if legend else []
    full = height + (24 * below[-1].row + 30 if below else 0)
    outer = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {full}" '
        f'width="{width}" height="{full}" role="img" aria-label="{_safe(plot.said)}" '
        'font-family="system-ui, sans-serif" font-size="12" class="drawn">'
    )
    inner = (
        f'<svg x="{frame.left:g}" y="{frame.top:g}" width="{frame.wide:g}" '
        f'height="{frame.high:g}" overflow="hidden">'
    )
    parts = [
        outer,
        *_grid(plot, frame),
        inner,
        *_curves(plot, frame),
        "</svg>",
        *_uprights(plot.uprights, frame),
        *(entry.drawn for entry in below),
        "</svg>",
    ]
    return "".join(parts)


@dataclass(frozen=True)
class _Frame:
    """The plotting area, in pixels of the picture."""

    left: float
    top: float
    wide: float
    high: float
    x: Axis
    y: Axis
    heights: Sequence[float]

    @classmethod
    def around(cls, plot: Plot, width: int, height: int) -> _Frame:
        heights = ticks(plot.y_axis, 6)
        left = 14 + LETTER * max((len(worded(value)) for value in heights), default=1)
        top = 10.0
        return cls(left, top, width - left - 12, height - top - 40, plot.x, plot.y_axis, heights)

    def across(self, value: float) -> float:
        return self.x.place(value) * self.wide

    def down(self, value: float) -> float:
        share = self.y.place(value) if not self.y.log or value > 0 else -1.0
        return (1.0 - min(max(share, -3.0), 4.0)) * self.high

    def path(self, xs: Iterable[float], ys: Iterable[float]) -> str:
        places = (f"{self.across(x):.1f} {self.down(y):.1f}" for x, y in zip(xs, ys, strict=True))
        return "M" + "L".join(places)


def _grid(plot: Plot, frame: _Frame) -> list[str]:
    right, bottom = frame.left + frame.wide, frame.top + frame.high
    rules: list[str] = []
    words: list[str] = []
    for value in frame.heights:
        y = frame.top + frame.down(value)
        rules.append(f"M{frame.left:.1f} {y:.1f}H{right:.1f}")
        words.append(_word(frame.left - 7, y + 4, worded(value), "end"))
    for value in ticks(frame.x, 9):
        if plot.whole and value != round(value):
            continue
        x = frame.left + frame.across(value)
        rules.append(f"M{x:.1f} {bottom:.1f}v5")
        words.append(_word(x, bottom + 19, worded(value), "middle"))
    words.append(_word(right, bottom + 35, plot.unit, "end"))
    foot = f"M{frame.left:.1f} {bottom:.1f}H{right:.1f}"
    ink = 'stroke="currentColor" fill="none"'
    return [
        f'<path d="{"".join(rules)}" {ink} stroke-opacity="0.16"/>',
        f'<path d="{foot}" {ink} stroke-opacity="0.5"/>',
        *words,
    ]


def _curves(plot: Plot, frame: _Frame) -> list[str]:
    parts: list[str] = []
    for mark in plot.uprights:
        if mark.low is not None and mark.high is not None and mark.high > mark.low:
            x, wide = frame.across(mark.low), frame.across(mark.high) - frame.across(mark.low)
            parts.append(
                f'<rect x="{x:.1f}" y="0" width="{wide:.1f}" height="{frame.high:g}" '
                f'fill="{colour(mark.role)}" fill-opacity="0.1" class="f-{mark.role}"/>'
            )
    for band in plot.bands:
        up = frame.path(band.x.tolist(), band.high.tolist())
        back = frame.path(band.x[::-1].tolist(), band.low[::-1].tolist())
        parts.append(
            f'<path d="{up}L{back[1:]}Z" fill="{colour(band.role)}" fill-opacity="0.16" '
            f'class="f-{band.role}"/>'
        )
    parts += [_line(one, frame) for one in plot.lines if one.x.size]
    for dot in plot.dots:
        x, y = frame.across(dot.x), frame.down(dot.y)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour(dot.role)}" '
            f'class="f-{dot.role}"/>'
        )
    return parts


def _line(line: Line, frame: _Frame) -> str:
    ink = colour(line.role)
    if line.kind == "points":
        size, clear = (7, 1) if line.x.size <= _MANY else (3.5, 0.4)
        spots = zip(line.x.tolist(), line.y.tolist(), strict=True)
        path = "".join(f"M{frame.across(x):.1f} {frame.down(y):.1f}h0" for x, y in spots)
        return (
            f'<path d="{path}" stroke="{ink}" stroke-width="{size:g}" stroke-linecap="round" '
            f'stroke-opacity="{clear:g}" class="s-{line.role}"/>'
        )
    dash = ' stroke-dasharray="7 4"' if line.kind == "dash" else ""
    return (
        f'<path d="{frame.path(line.x.tolist(), line.y.tolist())}" stroke="{ink}" fill="none" '
        f'stroke-width="{STROKES[line.kind]:g}" stroke-linejoin="round"{dash} '
        f'class="s-{line.role}"/>'
    )


def _uprights(marks: Sequence[Upright], frame: _Frame) -> list[str]:
    parts: list[str] = []
    free = {foot: [-math.inf] * _ROWS for foot in (False, True)}
    for mark in sorted(marks, key=lambda one: one.x):
        x = frame.left + frame.across(mark.x)
        ink = colour(mark.role)
        dash = "2 3" if mark.foot else "5 3"
        parts.append(
            f'<path d="M{x:.1f} {frame.top:.1f}v{frame.high:.1f}" stroke="{ink}" '
            f'stroke-width="1.4" stroke-dasharray="{dash}" class="s-{mark.role}"/>'
        )
        wide = LETTER * len(mark.label)
        fits = x + wide + 5 <= frame.left + frame.wide
        start = x + 5 if fits else max(frame.left + 5, x - wide - 5)
        row = next((i for i, end in enumerate(free[mark.foot]) if start > end), None)
        if not mark.label or row is None:
            continue
        free[mark.foot][row] = start + wide + 6
        y = frame.top + (frame.high - 6 - _ROW * row if mark.foot else 11 + _ROW * row)
        parts.append(_word(start, y, mark.label, "start", ink, f"label f-{mark.role}"))
    return parts


@dataclass(frozen=True)
class _Entry:
    row: int
    drawn: str


def _legend(plot: Plot, frame: _Frame) -> list[_Entry]:
    """Return the entries below the chart, row by row."""
    entries: list[_Entry] = []
    x, row = frame.left, 0
    for sign, role, name in signs(plot):
        wide = 34 + LETTER * len(name)
        if x > frame.left and x + wide > frame.left + frame.wide:
            x, row = frame.left, row + 1
        y = frame.top + frame.high + 62 + 24 * row
        drawn = f'<g transform="translate({x:.1f} {y - 8:.1f})">{swatch(sign, role)}</g>'
        entries.append(_Entry(row, drawn + _word(x + 28, y, name)))
        x += wide + 12
    return entries


def _word(
    x: float, y: float, text: str, anchor: str = "start", ink: str = "currentColor", name: str = ""
) -> str:
    kind = f' class="{name}"' if name else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}"{kind}>'
        f"{_safe(text)}</text>"
    )


def _safe(text: str) -> str:
    return escape(clean(text, 600))
