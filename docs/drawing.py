"""Plots as SVG, written by hand: axes, lines, bands, dots and words, in a few kilobytes each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]

BLUE, ORANGE, GREEN, GREY, INK = "#0072b2", "#d55e00", "#009e73", "#8a8a8a", "#222222"
# What takes the place of a colour where the reader's screen is dark.
DARK = {
    "#fff": "#15181e", "#ffffff": "#0f1217", INK: "#e6e6e6", "#e4e4e4": "#333a44",
    BLUE: "#56b4e9", ORANGE: "#ff8c42", GREEN: "#3fcf9f", GREY: "#9aa0a6",
    "#d0d7de": "#3d444d", "#f3f4f6": "#1d222a", "#6a737d": "#8b949e",
    "#b3261e": "#ff7b72", "#1a7f37": "#56d364", "#8a6100": "#e3b341", "#0b6e8a": "#56d4dd",
}  # fmt: skip
LETTER = 6.7  # usual width of a letter at font size 12, in pixels


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        low: Value at its start.
        high: Value at its end.
        ticks: Values that are marked, or values with their words.
        label: What it shows, with the unit.
        log: Whether it is logarithmic.
    """

    low: float
    high: float
    ticks: Sequence[float] | dict[float, str]
    label: str
    log: bool = False

    def share(self, value: float) -> float:
        """Return how far along the axis a value lies, 0 to 1 within it."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def marks(self) -> Iterable[tuple[float, str]]:
        """Return the ticks with their words."""
        if isinstance(self.ticks, dict):
            return self.ticks.items()
        return ((tick, f"{tick:g}".replace("-", "−")) for tick in self.ticks)


@dataclass
class Panel:
    """A plot within a picture; places are in pixels of the picture.

    Attributes:
        left: Left edge of the plotting area.
        top: Its upper edge.
        width: Its width.
        height: Its height.
        x: The axis across.
        y: The axis up.
        title: What stands above it.
        parts: What has been drawn, in order.
    """

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis
    title: str = ""
    parts: list[str] = field(default_factory=list[str])

    def at(self, point: Point) -> Point:
        """Return the pixel of a point."""
        across, up = self.x.share(point[0]), self.y.share(point[1])
        return self.left + across * self.width, self.top + (1.0 - up) * self.height

    def line(
        self, points: Sequence[Point], colour: str, width: float = 2.0, dash: str = ""
    ) -> None:
        """Draw a line through points."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<polyline points="{_places(map(self.at, points))}" fill="none" '
            f'stroke="{colour}" stroke-width="{width:g}"{dashed}/>'
        )

    def band(self, low: Sequence[Point], high: Sequence[Point], colour: str) -> None:
        """Fill what lies between two lines."""
        around = [self.at(point) for point in (*low, *reversed(high))]
        self.parts.append(
            f'<polygon points="{_places(around)}" fill="{colour}" fill-opacity="0.18"/>'
        )

    def dots(
        self, points: Iterable[Point], colour: str, size: float = 7.0, opacity: float = 1.0
    ) -> None:
        """Draw round dots, all in one path: round ends of strokes without length."""
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in map(self.at, points))
        self.parts.append(
            f'<path d="{path}" stroke="{colour}" stroke-width="{size:g}" '
            f'stroke-linecap="round" stroke-opacity="{opacity:g}"/>'
        )

    def rings(self, points: Iterable[Point], colour: str, radius: float = 4.0) -> None:
        """Draw empty circles."""
        for x, y in map(self.at, points):
            self.parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="#fff" '
                f'stroke="{colour}" stroke-width="1.8"/>'
            )

    def words(
        self, point: Point, text: str, colour: str = INK, anchor: str = "start", dy: float = 4.0
    ) -> None:
        """Write beside a point."""
        x, y = self.at(point)
        self.parts.append(write(x, y + dy, text, colour, anchor))

    def drawn(self) -> str:
        """Return the panel: grid, what has been drawn, frame, ticks and labels."""
        right, bottom = self.left + self.width, self.top + self.height
        parts: list[str] = []
        for value, name in self.x.marks():
            x = self.left + self.x.share(value) * self.width
            parts.append(_rule(x, self.top, x, bottom))
            parts.append(write(x, bottom + 17, name, INK, "middle"))
        for value, name in self.y.marks():
            y = bottom - self.y.share(value) * self.height
            parts.append(_rule(self.left, y, right, y))
            parts.append(write(self.left - 7, y + 4, name, INK, "end"))
        middle = self.left + self.width / 2
        parts += self.parts
        parts.append(
            f'<path d="M{self.left:g} {self.top:g}V{bottom:g}H{right:g}" fill="none" '
            f'stroke="{INK}"/>'
        )
        parts.append(write(middle, bottom + 37, self.x.label, INK, "middle"))
        if self.y.label:
            y = self.top + self.height / 2
            turned = f' transform="rotate(-90 {self.left - 52:g} {y:g})"'
            parts.append(write(self.left - 52, y, self.y.label, INK, "middle", turned))
        parts.append(write(middle, self.top - 10, self.title, INK, "middle", ' font-weight="600"'))
        return "\n".join(parts)


def legend(left: float, baseline: float, entries: Iterable[tuple[str, str, str]]) -> str:
    """Return a row of entries: what is drawn (`line`, `dash`, `dot`, `ring`, `band`), colour, words."""
    parts: list[str] = []
    for kind, colour, text in entries:
        y = baseline - 4
        sign = {
            "line": f'<path d="M{left:g} {y:g}h22" stroke="{colour}" stroke-width="2"/>',
            "dash": f'<path d="M{left:g} {y:g}h22" stroke="{colour}" stroke-width="2" '
            'stroke-dasharray="5 3"/>',
            "dot": f'<circle cx="{left + 11:g}" cy="{y:g}" r="3.5" fill="{colour}"/>',
            "ring": f'<circle cx="{left + 11:g}" cy="{y:g}" r="4" fill="#fff" stroke="{colour}" '
            'stroke-width="1.8"/>',
            "band": f'<rect x="{left:g}" y="{y - 6:g}" width="22" height="12" fill="{colour}" '
            'fill-opacity="0.18"/>',
        }[kind]
        parts += [sign, write(left + 28, baseline, text)]
        left += 28 + LETTER * len(text) + 16
    return "\n".join(parts)


def dark(parts: Iterable[str]) -> str:
    """Return a style sheet that gives the colours in `parts` their dark counterparts at night.

    The colours stand in attributes, so that what knows no style sheets shows the light picture.
    """
    drawn = "".join(parts)
    rules = "".join(
        f'[{where}="{light}"]{{{where}:{instead}}}'
        for light, instead in DARK.items()
        for where in ("fill", "stroke")
        if f'{where}="{light}"' in drawn
    )
    return f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"


def picture(width: int, height: int, what: str, parts: Iterable[str]) -> str:
    """Return a whole SVG on white, or black at night; `what` is read to those who cannot see it."""
    inside = [f'<rect width="{width}" height="{height}" fill="#fff"/>', *parts]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = 'font-family="sans-serif" font-size="12"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font} role="img">',
            f"<title>{escape(what)}</title>",
            dark(inside),
            *inside,
            "</svg>\n",
        ]
    )


def write(
    x: float, y: float, text: str, colour: str = INK, anchor: str = "start", more: str = ""
) -> str:
    """Return words with their baseline at a pixel."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{more}>'
        f"{escape(text)}</text>"
    )


def _places(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#e4e4e4"/>'
