"""Loss curves as a chart of characters: what is drawn, free of where it comes from."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.numbers import short
from ftadvise.reports.axes import Axis, loss_axis, ticks
from ftadvise.reports.canvas import Canvas, Layer
from ftadvise.reports.style import PLAIN, Style
from ftadvise.reports.wrapping import GLUE, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.forecasting import Forecast

FRAME = 3  # lines below the curves: the axis, its labels, the legend where it fits a line
SMALLEST, LARGEST = 1e-100, 1e100  # of a loss that is drawn as it is
_MANY = 0.25  # points per column: above this they are not marked one by one
_LONG = 20  # points: above this the outermost do not set the range


Point = tuple[float, float]


@dataclass(frozen=True)
class Signs:
    """The characters of marks and legend."""

    train: str
    point: str
    curve: str
    best: str
    onset: str
    band: str
    rule: str
    corner: str
    tick: str


UNICODE = Signs("⠢", "○", "⠒", "●", "┊", "⡪", "─", "└", "┤")
ASCII = Signs(".", "o", "-", "@", "|", ":", "-", "+", "+")


@dataclass(frozen=True)
class Picture:
    """What is drawn; points are (epoch, loss), in order of time.

    Attributes:
        judged: The curve that matters: eval loss, or train loss without one.
        name: What it is called.
        train: Train losses to draw behind it.
        ahead: Forecasts of the judged curve; those before its last point are not drawn.
        best: Its best point; None to mark none.
        onset: Epoch from which it overfits; None to mark none.
        end: Epoch to which the axis reaches at least.
        unit: What the axis counts.
    """

    judged: Sequence[Point]
    name: str
    train: Sequence[Point] = ()
    ahead: Sequence[Forecast] = field(default=())
    best: Point | None = None
    onset: float | None = None
    end: float = 0.0
    unit: str = "epoch"


def draw(
    picture: Picture, width: int, rows: int, ascii_only: bool = False, style: Style = PLAIN
) -> list[str]:
    """Draw a picture, with axes and a legend.

    Args:
        picture: What to draw.
        width: Columns.
        rows: Lines of the curves alone; `FRAME` more come below them.
        ascii_only: Draw with ASCII instead of braille.
        style: Colours.

    Returns:
        The lines, the legend last; none when there are fewer than two points.
    """
    judged, other = _held(picture.judged), _held(picture.train)
    if len(judged) + len(other) < 2:
        return []
    ahead = [f for f in picture.ahead if judged and f.epoch > judged[-1][0]]
    edges = [hold(value) for f in ahead for value in (f.low, f.high)]
    y_axis = loss_axis([y for _, y in judged] + _usual([y for _, y in other]) + edges)
    reach = [x for x, _ in judged + other] + [f.epoch for f in ahead] + [picture.end]
    x_axis = Axis(0.0, max(reach) or 1.0)  # before training all stand at 0
    signs = ASCII if ascii_only else UNICODE
    heights = ticks(y_axis, min(5, rows))
    labels = [short(value) for value in heights]
    margin = max(len(label) for label in [picture.unit, *labels])
    canvas = Canvas(width - margin - 3, rows, ascii_only)

    def placed(points: list[Point]) -> list[Point]:
        return [(x_axis.place(x), y_axis.place(y)) for x, y in points]

    if ahead:
        _draw_band(canvas, x_axis, y_axis, judged[-1], ahead, Layer(0, signs.band, style.dim))
    _draw_train(canvas, placed(other), Layer(1, signs.train, style.dim))
    _draw_judged(canvas, placed(judged), Layer(2, signs.curve, style.cyan), signs)
    if picture.onset is not None:
        canvas.upright(x_axis.place(picture.onset), signs.onset, style.yellow)
    if picture.best is not None:
        [(x, y)] = placed(_held([picture.best]))
        canvas.mark(x, y, signs.best, style.green)

    places = (_row(canvas, y_axis.place(value)) for value in heights)
    labelled = dict(zip(places, labels, strict=True))
    sign = signs.curve if _many(canvas, judged) else signs.point
    return [
        *(
            _labelled(labelled.get(i, ""), line, margin, signs)
            for i, line in enumerate(canvas.lines())
        ),
        *_below(x_axis, canvas.columns, margin, signs, picture.unit),
        *(style.dim(line) for line in wrap(_legend(picture, sign, signs, bool(ahead)), width)),
    ]


def hold(loss: float) -> float:
    """Return a loss within what an axis can show: the ratio of two of them does not overflow."""
    size = min(max(abs(loss), SMALLEST), LARGEST) if loss else 0.0
    return size if loss > 0 else -size


def _held(points: Sequence[Point]) -> list[Point]:
    return [(x, hold(y)) for x, y in points]


def _draw_band(
    canvas: Canvas, x: Axis, y: Axis, start: Point, ahead: list[Forecast], layer: Layer
) -> None:
    """Shade the forecast: light dots from its low to its high end."""
    epochs = [start[0], *(f.epoch for f in ahead)]
    low = np.array([start[1], *(hold(f.low) for f in ahead)])
    high = np.array([start[1], *(hold(f.high) for f in ahead)])
    first = canvas.column(x.place(epochs[0]))
    for column in range(first + 1, canvas.wide):
        epoch = x.low + (x.high - x.low) * column / (canvas.wide - 1)
        top = canvas.row(y.place(float(np.interp(epoch, epochs, high))))
        bottom = canvas.row(y.place(float(np.interp(epoch, epochs, low))))
        for row in range(top, bottom + 1):
            if column % canvas.across == 0 and (row + column // canvas.across) % 2 == 0:
                canvas.dot(column, row, layer)


def _draw_train(canvas: Canvas, points: list[Point], layer: Layer) -> None:
    """Draw the train loss: a dotted line, or of a long log the median in each column of dots."""
    if not _many(canvas, points):
        canvas.line(points, layer, every=3)
        return
    columns: dict[int, list[float]] = {}
    for px, py in points:
        columns.setdefault(canvas.column(px), []).append(py)
    for column, places in columns.items():
        canvas.dot(column, canvas.row(statistics.median(places)), layer)


def _draw_judged(canvas: Canvas, points: list[Point], layer: Layer, signs: Signs) -> None:
    """Draw the curve that the advice rests on, with a mark at every point where they are few."""
    canvas.line(points, layer)
    if not _many(canvas, points):
        for px, py in points:
            canvas.mark(px, py, signs.point, layer.paint)


def _many(canvas: Canvas, points: list[Point]) -> bool:
    return len(points) > _MANY * canvas.columns


def _usual(losses: list[float]) -> list[float]:
    """Return the range of `losses`; without the outermost of a long log, such as a first value."""
    if len(losses) <= _LONG:
        return losses
    low, high = np.quantile(losses, [0.02, 0.98])
    return [float(low), float(high)]


def _row(canvas: Canvas, place: float) -> int:
    return canvas.row(place) * canvas.rows // canvas.high


def _labelled(label: str, line: str, margin: int, signs: Signs) -> str:
    edge = signs.tick if label else ("|" if signs is ASCII else "│")
    return f"{label:>{margin}} {edge}{line}".rstrip()


def _below(axis: Axis, columns: int, margin: int, signs: Signs, unit: str) -> list[str]:
    """Return the line under the chart and its labels."""
    labels = [" "] * columns
    free = 0
    for value in ticks(axis, max(2, columns // 8)):
        label = short(value)
        start = max(0, round(axis.place(value) * (columns - 1)) - len(label) // 2)
        start = min(start, columns - len(label))
        if start >= free:
            labels[start : start + len(label)] = label
            free = start + len(label) + 1
    return [
        " " * (margin + 1) + signs.corner + signs.rule * columns,
        f"{unit:>{margin}}  {''.join(labels).rstrip()}",
    ]


def _legend(picture: Picture, sign: str, signs: Signs, ahead: bool) -> str:
    """Name what is drawn; `sign` is that of the judged curve."""
    parts = [f"{sign} {picture.name}"] if picture.judged else []
    if picture.train:
        parts.append(f"{signs.train} train loss")
    if picture.best is not None:
        parts.append(f"{signs.best} best")
    if picture.onset is not None:
        parts.append(f"{signs.onset} overfitting")
    if ahead:
        parts.append(f"{signs.band} forecast (90 %)")
    return "  ".join(part.replace(" ", GLUE) for part in parts)
