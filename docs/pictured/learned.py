"""What was learned from fine-tunes run at several lengths, as pictures: in about a minute.

Whatever was learned is shown by constants that had not seen the data set in question.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from drawing import BLUE, GREEN, GREY, INK, ORANGE, Axis, Panel, legend, picture
from fine_tunes import Gaps, Log, best_epoch, families, gaps, logs

from ftadvise.run import FloatArray

LENGTHS = {float(e): str(e) for e in (1, 2, 3, 4, 5, 7, 10)}
FACTORS = {math.log(f): f"×{f:g}" for f in (0.25, 0.5, 1, 2, 4)}
COLOURS = {3.0: ORANGE, 5.0: GREEN, 7.0: BLUE, 10.0: GREY}


def pictures() -> dict[str, str]:
    """Return every picture by its name."""
    known = families()
    told = logs(known)
    return {
        "lengths": lengths(known),
        "gap": gap(gaps(known)),
        "forecasts": forecasts(told),
        "calibration": calibration(told),
    }


def lengths(known: list[Any]) -> str:
    """Draw a run of seven epochs beside the runs of other lengths, for three fine-tunes."""
    best_at_three = [
        family
        for family in known
        if 2.5 <= best_epoch(family.runs[7.0]) <= 3.5 and {4.0, 7.0} <= family.runs.keys()
    ]
    gain = [
        float(f.runs[7.0].eval.loss.min() / f.runs[4.0].eval.loss.min()) for f in best_at_three
    ]
    order = np.argsort(gain)
    print(
        f"{len(gain)} runs of 7 epochs were best at epoch 2.5 to 3.5; 4 epochs were better in "
        f"{np.mean(np.array(gain) > 1):.0%}, median {np.median(gain) - 1:.2%}"
    )
    panels: list[str] = []
    for place, share in enumerate((0.25, 0.5, 0.75)):
        family = best_at_three[int(order[int(share * (len(order) - 1))])]
        evals = family.runs[7.0].eval
        low = min(float(family.loss.min()), float(evals.loss.min()))
        high = float(evals.loss[evals.epoch >= 1.0].max())
        margin = 0.08 * (high - low)
        panel = Panel(
            64 + 246 * place, 64, 186, 190,
            Axis(0.0, 10.4, LENGTHS, "epochs"),
            Axis(low - margin, high + margin, _round_ticks(low, high), "" if place else "eval loss"),
            f"{family.dataset}, {family.name[1]} examples",
        )  # fmt: skip
        shown = evals.epoch >= 1.0
        course = list(zip(evals.epoch[shown].tolist(), evals.loss[shown].tolist(), strict=True))
        panel.line(course, ORANGE)
        best = float(evals.loss.min())
        panel.line([(0.0, best), (10.4, best)], ORANGE, 1.0, "3 3")
        panel.dots([(best_epoch(family.runs[7.0]), best)], ORANGE, 9.0)
        reached = [
            (e, value)
            for e, value in zip(family.epochs.tolist(), family.loss.tolist(), strict=True)
            if value <= high + margin
        ]
        panel.line(reached, BLUE, 1.2)
        panel.rings(reached, BLUE)
        panels.append(panel.drawn())
    entries = [
        ("line", ORANGE, "one run of 7 epochs"),
        ("dot", ORANGE, "its best checkpoint"),
        ("ring", BLUE, "best checkpoint of a run of that length"),
    ]
    return picture(
        760, 306, "Eval loss within a run of seven epochs and at the end of runs of other lengths",
        [legend(64, 24, entries), *panels],
    )  # fmt: skip


def gap(found: Gaps) -> str:
    """Draw how the gap at the end tells where the optimum lies, and what is learned from it all."""
    y = Axis(
        math.log(0.08),
        math.log(4.5),
        FACTORS | {math.log(0.1): "×0.1"},
        "best length / length of the log",
    )
    left = Panel(
        76, 64, 294, 280, Axis(float(found.gap.min()) - 0.1, 0.7, (-6, -4, -2, 0), "gap at the end: log(train loss / eval loss)"),
        y, "what one feature shows",
    )  # fmt: skip
    right = Panel(
        440, 64, 300, 280, Axis(y.low, y.high, y.ticks, "learned from nine such numbers, data set left out"),
        Axis(y.low, y.high, y.ticks, ""), "what is learned",
    )  # fmt: skip
    for seen, colour in COLOURS.items():
        mine = found.seen.round() == seen
        left.dots(_pairs(found.gap[mine], found.target[mine]), colour, 4.5, 0.45)
        right.dots(_pairs(found.learned[mine], found.target[mine]), colour, 4.5, 0.45)
    right.line([(y.low, y.low), (y.high, y.high)], INK, 1.2, "4 3")
    edges = np.quantile(found.gap, np.linspace(0.01, 0.99, 15))
    places = [(found.gap >= a) & (found.gap < b) for a, b in itertools.pairwise(edges)]
    left.line(
        [(float(found.gap[p].mean()), float(np.median(found.target[p]))) for p in places], INK, 2.0
    )
    entries = [("dot", c, f"log of {e:g} epochs") for e, c in COLOURS.items()]
    return picture(
        760, 400, "Where the best number of epochs lies, against the gap and against what is learned",
        [legend(76, 24, [*entries, ("line", INK, "median")]), left.drawn(), right.drawn()],
    )  # fmt: skip


def forecasts(told: list[Log]) -> str:
    """Draw a usual forecast over lengths and a bad one, with what really happened."""
    five = [log for log in told if log.seen == 5.0 and len(log.told) == 6]
    error = [max(abs(math.log(t.actual / t.median)) for t in log.told) for log in five]
    order = np.argsort(error)
    panels: list[str] = []
    for place, (share, kind) in enumerate(((0.5, "a usual one"), (0.95, "a bad one"))):
        log = five[int(order[int(share * (len(order) - 1))])]
        values = [log.last, *(v for t in log.told for v in (t.low, t.actual, t.high))]
        low, high = min(values), max(values)
        panel = Panel(
            70 + 370 * place, 64, 300, 240, Axis(0.9, 13.0, LENGTHS, "epochs of the next run", log=True),
            Axis(low * 0.97, high * 1.03, _round_ticks(low, high), "" if place else "eval loss at its end", log=True),
            f"{kind}: {log.data_set}, seen 5 epochs",
        )  # fmt: skip
        panel.band(
            [(t.epochs, t.low) for t in log.told], [(t.epochs, t.high) for t in log.told], BLUE
        )
        panel.line([(t.epochs, t.median) for t in log.told], BLUE)
        panel.rings([(log.seen, log.last)], INK, 5.0)
        panel.dots([(t.epochs, t.actual) for t in log.told], ORANGE, 8.0)
        panel.line([(log.chosen, low * 0.97), (log.chosen, high * 1.03)], GREEN, 1.5, "5 3")
        anchor, aside = ("end", 0.98) if log.chosen > 4 else ("start", 1.02)
        words = f"advised: {log.chosen}"
        panel.words((log.chosen * aside, high * 1.03), words, GREEN, anchor, 14)
        panels.append(panel.drawn())
    entries = [
        ("line", BLUE, "forecast"), ("band", BLUE, "90 %"), ("dot", ORANGE, "what such a run reached"),
        ("ring", INK, "the log"),
    ]  # fmt: skip
    return picture(
        760, 360, "Forecast eval loss of runs of other lengths and what they reached",
        [legend(70, 24, entries), *panels],
    )  # fmt: skip


def calibration(told: list[Log]) -> str:
    """Draw how much of what happened lay within intervals of every nominal coverage."""
    nominal = np.linspace(0.02, 0.98, 49)
    whole = Axis(0.0, 1.0, {v / 4: f"{25 * v} %" for v in range(5)}, "nominal coverage")
    panel = Panel(
        70, 64, 300, 300, whole, Axis(0.0, 1.0, whole.ticks, "what happened lay within"),
        "by length of the log",
    )  # fmt: skip
    other = Panel(
        440, 64, 295, 300, whole, Axis(0.0, 1.0, whole.ticks, ""), "by what was asked for"
    )
    for one in (panel, other):
        one.line([(0.0, 0.0), (1.0, 1.0)], INK, 1.2, "4 3")
    for place, (seen, colour) in enumerate(COLOURS.items()):
        levels = np.array([t.level for log in told if log.seen == seen for t in log.told])
        _cover(panel, levels, nominal, colour, f"{seen:g} epochs", 3 - place)
    kinds = {
        "shorter runs": (
            GREEN,
            [t.level for log in told for t in log.told if t.epochs < log.seen],
        ),
        "longer runs": (BLUE, [t.level for log in told for t in log.told if t.epochs > log.seen]),
    }
    for place, (name, (colour, values)) in enumerate(kinds.items()):
        _cover(other, np.array(values), nominal, colour, name, 1 - place)
    return picture(
        760, 416, "Nominal and actual coverage of the forecasts of runs of other lengths",
        [legend(70, 24, [("dash", INK, "as it should be")]), panel.drawn(), other.drawn()],
    )  # fmt: skip


def _cover(
    panel: Panel, levels: FloatArray, nominal: FloatArray, colour: str, name: str, place: int
) -> None:
    held = [float((np.abs(levels - 0.5) <= q / 2).mean()) for q in nominal]
    panel.line(list(zip(nominal.tolist(), held, strict=True)), colour)
    ninety = float((np.abs(levels - 0.5) <= 0.45).mean())
    print(f"{name}: {levels.size} forecasts, 90 % interval holds {ninety:.3f}")
    panel.words(
        (0.97, 0.04 + 0.07 * place), f"{name}: 90 % holds {100 * ninety:.0f} %", colour, "end"
    )


def _pairs(x: FloatArray, y: FloatArray) -> list[tuple[float, float]]:
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _round_ticks(low: float, high: float) -> list[float]:
    """Return three to six round values between two, closer together at the low end of a wide range."""
    if low > 0 and high > 5 * low:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = [n * 10.0**decade for decade in decades for n in (1, 2, 5)]
        return [step for step in steps if low <= step <= high]
    step = 10.0 ** math.floor(math.log10(high - low))
    while (high - low) / step < 3:
        step /= 2
    first = math.ceil(low / step)
    return [round(n * step, 10) for n in range(first, math.floor(high / step) + 1)]
