"""The loss curves of a run as a chart of characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ftadvise.reports.curves import Picture, Point, draw
from ftadvise.reports.style import PLAIN, Style
from ftadvise.thinning import epochs_known, epochs_of

if TYPE_CHECKING:
    from ftadvise.advice import Advice
    from ftadvise.run import Run, Series

NARROW = 60  # columns: below this the chart is less high


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
    if len(judged) < 2:
        return []
    eval_judged = advice.fit.target == "eval"
    picture = Picture(
        judged=judged,
        name=f"{advice.fit.target} loss",
        train=points_of(advice.run, advice.run.train) if eval_judged else (),
        ahead=advice.ahead,
        best=(advice.observed.best_epoch, advice.observed.best_eval_loss),
        onset=advice.overfitting.onset_epoch,
        unit="epoch" if epochs_known(advice.run) else "time",
    )
    return draw(picture, width, 9 if width < NARROW else 13, ascii_only, style)


def points_of(run: Run, series: Series) -> list[Point]:
    """Return the finite points of a series as (epoch, loss), in order of time."""
    epochs = epochs_of(run, series)
    usable = np.isfinite(series.loss) & np.isfinite(epochs)
    order = np.argsort(epochs[usable], kind="stable")
    pairs = zip(epochs[usable][order].tolist(), series.loss[usable][order].tolist(), strict=True)
    return list(pairs)
