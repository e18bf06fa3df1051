"""The loss curves of a run as a chart of characters."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.numbers import short
from ftadvise.reports.axes import Axis, loss_axis, ticks
from ftadvise.reports.canvas import Canvas, Layer
from ftadvise.reports.style import PLAIN, Style
from ftadvise.reports.wrapping import GLUE, wrap
from ftadvise.thinning import epochs_known, epochs_of

if TYPE_CHECKING:
    from ftadvise.advice import Advice
    from ftadvise.forecasting import Forecast
    from ftadvise.run import Run, Series

NARROW = 60  # columns: below this the chart is less high
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


def chart(
    advice: Advice, width: int = 80, ascii_only: bool = False, style: Style = PLAIN
) -> list[str]:
    """Draw train and eval loss over epochs, with the best point, the onset and the forecast.

    Args:
        advice: What to draw.
        width: Columns.
        ascii_only: Draw with ASCII instead of braille.
        style: Colours.

    Returns:
        The lines of the chart, its legend last; none when there is nothing to draw.
    """
    judged = points_of(advice.run, advice.fit.series)
    other = points_of(advice.run, advice.run.train) if advice.fit.target == "eval" else []
    if len(judged) < 2:
        return []
    ahead = [f for f in advice.ahead if f.epoch > judged[-1][0]]
    edges = [value for f in ahead for value in (f.low, f.high)]
    y_axis = loss_axis([y for _, y in judged] + _usual([y for _, y in other]) + edges)
    x_axis = Axis(0.0, max([x for x, _ in judged + other] + [f.epoch for f in ahead]))
    signs = ASCII if ascii_only else UNICODE
    heights = ticks(y_axis, 5)
    labels = [short(value) for value in heights]
    unit = "epoch" if epochs_known(advice.run) else "time"
    margin = max(len(label) for label in [unit, *labels])
    canvas = Canvas(width - margin - 3, 9 if width < NARROW else 13, ascii_only)

    def placed(points: list[Point]) -> list[Point]:
        return [(x_axis.place(x), y_axis.place(y)) for x, y in points]

    _draw_band(canvas, x_axis, y_axis, judged[-1], ahead, Layer(0, signs.band, style.dim))
    _draw_train(canvas, placed(other), Layer(1, signs.train, style.dim))
    _draw_judged(canvas, placed(judged), Layer(2, signs.curve, style.cyan), signs)
    onset = advice.overfitting.onset_epoch
    if onset is not None:
        canvas.upright(x_axis.place(onset), signs.onset, style.yellow)
    best = (advice.observed.best_epoch, advice.observed.best_eval_loss)
    canvas.mark(x_axis.place(best[0]), y_axis.place(best[1]), signs.best, style.green)

    rows = dict(zip((_row(canvas, y_axis.place(v)) for v in heights), labels, strict=True))
    sign = signs.curve if _many(canvas, judged) else signs.point
    legend = _legend(advice, sign, signs, bool(other), bool(ahead))
    return [
        *(
            _labelled(rows.get(i, ""), line, margin, signs)
            for i, line in enumerate(canvas.lines())
        ),
        *_below(x_axis, canvas.columns, margin, signs, unit),
        *(style.dim(line) for line in wrap(legend, width)),
    ]


def points_of(run: Run, series: Series) -> list[Point]:
    """Return the finite points of a series as (epoch, loss), in order of time."""
    epochs = epochs_of(run, series)
    usable = np.isfinite(series.loss) & np.isfinite(epochs)
    order = np.argsort(epochs[usable], kind="stable")
    pairs = zip(epochs[usable][order].tolist(), series.loss[usable][order].tolist(), strict=True)
    return list(pairs)


def _draw_band(
    canvas: Canvas, x: Axis, y: Axis, start: Point, ahead: list[Forecast], layer: Layer
) -> None:
    """Shade the forecast: light dots from its low to its high end."""
    if not ahead:
        return
    epochs = [start[0], *(f.epoch for f in ahead)]
    low = np.array([start[1], *(f.low for f in ahead)])
    high = np.array([start[1], *(f.high for f in ahead)])
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


def _legend(advice: Advice, sign: str, signs: Signs, two: bool, ahead: bool) -> str:
    """Name what is drawn; `sign` is that of the judged curve."""
    parts = [f"{sign} {advice.fit.target} loss", f"{signs.best} best"]
    if two:
        parts.insert(1, f"{signs.train} train loss")
    if advice.overfitting.onset_epoch is not None:
        parts.append(f"{signs.onset} overfitting")
    if ahead:
        parts.append(f"{signs.band} forecast (90 %)")
    return "  ".join(part.replace(" ", GLUE) for part in parts)
