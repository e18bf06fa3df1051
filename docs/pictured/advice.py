"""The anatomy of an advice: one run with what is seen in it, and runs of other lengths."""

from __future__ import annotations

import numpy as np
from drawing import BLUE, GREEN, INK, ORANGE, Axis, Panel, Point, legend
from drawing import picture as drawing

import ftadvise
from ftadvise.numbers import short
from ftadvise.run import Series
from pictured.example import advice


def picture() -> str:
    """Return the picture."""
    found = advice()
    entries = [
        ("ring", INK, "eval loss as logged"), ("line", BLUE, "the curve behind it, or forecast"),
        ("band", BLUE, "90 %"), ("dot", GREEN, "best, and advised"),
    ]  # fmt: skip
    return drawing(
        760, 392, "One run with its best evaluation, its overfitting and where patience would have "
        "stopped it, and the forecast of runs of other lengths",
        [legend(64, 24, entries), _this_run(found), _other_lengths(found)],
    )  # fmt: skip


def _this_run(found: ftadvise.Advice) -> str:
    run, fit = found.run, found.fit
    evals = points(run.eval)
    low, high = 0.84, 1.34
    panel = Panel(
        64, 64, 396, 270, Axis(0.0, 5.1, range(6), "epoch of this run"),
        Axis(low, high, (0.9, 1.0, 1.1, 1.2, 1.3), "loss"), "what is seen in this run",
    )  # fmt: skip
    _overfitting(panel, found, low, high)
    curves = np.quantile(fit.smoothed() - fit.shift, (0.05, 0.5, 0.95), axis=0)
    at = fit.points.epoch.tolist()
    panel.band(pairs(at, curves[0]), pairs(at, curves[2]), BLUE)
    panel.line(pairs(at, curves[1]), BLUE)
    last = (at[-1], float(curves[1][-1]))
    panel.band(
        [last, *((f.epoch, f.low) for f in found.ahead)],
        [last, *((f.epoch, f.high) for f in found.ahead)],
        BLUE,
    )
    panel.line([last, *((f.epoch, f.median) for f in found.ahead)], BLUE, 2.0, "5 3")
    panel.words((5.05, found.ahead[-1].high), "if it went on", BLUE, "end", -8)
    panel.rings(evals, INK)
    _best(panel, found)
    _patience(panel, found)
    return panel.drawn()


def _overfitting(panel: Panel, found: ftadvise.Advice, low: float, high: float) -> None:
    onset, interval = found.overfitting.onset_epoch, found.overfitting.interval
    if onset is None or interval is None:
        raise LookupError("the example does not overfit any more")
    panel.band(
        [(interval[0], low), (interval[1], low)],
        [(interval[0], high), (interval[1], high)],
        ORANGE,
    )
    panel.line([(onset, low), (onset, high)], ORANGE, 1.5, "5 3")
    panel.words((interval[1] + 0.08, high), f"overfitting from {short(onset)},", ORANGE, dy=16)
    words = f"turn between {short(interval[0])} and {short(interval[1])}"
    panel.words((interval[1] + 0.08, high), words, ORANGE, dy=31)


def _best(panel: Panel, found: ftadvise.Advice) -> None:
    keep = found.keep
    panel.dots([(keep.epoch, keep.eval_loss)], GREEN, 9.0)
    panel.words((keep.epoch, keep.eval_loss), f"best {short(keep.eval_loss)}", GREEN, "end", 24)
    if keep.expected_eval_loss is not None:
        words = f"{short(keep.expected_eval_loss)} on the curve"
        panel.words((keep.epoch, keep.eval_loss), words, GREEN, "end", 39)


def _patience(panel: Panel, found: ftadvise.Advice) -> None:
    """Draw where the advised patience would have stopped this run."""
    rule = found.recommendation
    patience, threshold = rule.early_stopping_patience, rule.early_stopping_threshold
    told = ftadvise.replay(found.run, f"transformers:patience={patience},threshold={threshold}")
    level = 0.895
    panel.line([(told.best_epoch, level), (told.stop_epoch, level)], INK, 1.5)
    for end in (told.best_epoch, told.stop_epoch):
        panel.line([(end, level - 0.008), (end, level + 0.008)], INK, 1.5)
    words = f"patience {patience}: stop at {short(told.stop_epoch)}"
    panel.words((told.stop_epoch, level), words, INK, dy=18)


def _other_lengths(found: ftadvise.Advice) -> str:
    advised = found.recommendation
    ahead = [one for one in found.forecast if one.epochs >= 2]
    low, high = 0.98, 1.115
    panel = Panel(
        540, 64, 200, 270, Axis(1.7, 7.3, range(2, 8), "epochs of the next run"),
        Axis(low, high, (1.0, 1.05, 1.1), ""), "what is forecast of the next",
    )  # fmt: skip
    about = advised.epochs_range
    edges = (about[0] - 0.3, about[1] + 0.3)
    panel.band([(e, low) for e in edges], [(e, high) for e in edges], GREEN)
    panel.band([(f.epochs, f.low) for f in ahead], [(f.epochs, f.high) for f in ahead], BLUE)
    panel.line([(f.epochs, f.median) for f in ahead], BLUE)
    chosen = float(advised.num_train_epochs)
    panel.dots([(chosen, advised.expected_eval_loss)], GREEN, 9.0)
    panel.words((edges[1] + 0.15, high), f"advised: {advised.num_train_epochs}", GREEN, dy=16)
    words = f"{about[0]} to {about[1]} as good"
    panel.words((edges[1] + 0.15, high), words, GREEN, dy=31)
    return panel.drawn()


def points(series: Series) -> list[Point]:
    """Return the finite points of a series."""
    known = series.finite()
    return pairs(known.epoch.tolist(), known.loss)


def pairs(
    at: list[float], values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> list[Point]:
    """Return points of what they are at and how high."""
    return list(zip(at, (float(value) for value in values), strict=True))
