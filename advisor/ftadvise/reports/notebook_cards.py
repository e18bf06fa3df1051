"""What the card of each result says: a heading, a few rows, and what can be folded out."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.advice import Advice
from ftadvise.fitting import Fit
from ftadvise.forecasting import Forecast
from ftadvise.live import Decision
from ftadvise.numbers import chance, count, percent, short
from ftadvise.policies import Replay
from ftadvise.reports import words
from ftadvise.reports.configuration import training_block
from ftadvise.run import Run
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.run import Series

_MOST_LAWS, _MOST_NAMES = 4, 5


@dataclass(frozen=True)
class Fold:
    """What is shown when its heading is clicked on.

    Attributes:
        heading: Always shown.
        lines: One paragraph each.
        code: Whether the lines are shown as they are, one below the other.
    """

    heading: str
    lines: tuple[str, ...]
    code: bool = False


@dataclass(frozen=True)
class Content:
    """What a card says, as plain text.

    Attributes:
        heading: The answer, in a few words.
        rows: What else matters, each with its name.
        folds: What it rests on.
        foot: Where it comes from; empty for nothing.
    """

    heading: str
    rows: tuple[tuple[str, str], ...]
    folds: tuple[Fold, ...] = ()
    foot: str = ""


@functools.singledispatch
def content(thing: object) -> Content:
    """Return what the card of a result says."""
    raise TypeError(f"there is no card for {type(thing).__name__}")


@content.register
def _(advice: Advice) -> Content:
    rows = (
        ("Evaluation", words.cadence(advice)),
        ("Stop early", words.stopping(advice)),
        ("Expect", f"{words.expected(advice)}; {words.false_stop(advice)}"),
        ("Or keep", words.keeping(advice)),
        ("Overfitting", words.overfitting(advice)),
    )
    findings = tuple(
        f"{words.said(f.code)} {words.said(f.level)}: {words.said(f.message)}"
        + (f" Fix: {words.said(f.fix)}" if f.fix else "")
        for f in advice.findings
    )
    reasons = tuple(words.said(reason) for reason in advice.reasons)
    folds = (
        Fold(count(len(findings), "finding"), findings),
        Fold("Why", reasons),
        Fold("Configuration", tuple(training_block(advice.recommendation)), code=True),
    )
    return Content(
        f"Next run: {words.epochs(advice)}",
        rows,
        tuple(fold for fold in folds if fold.lines),
        f"{words.title(advice)}: {words.contents(advice)}",
    )


@content.register
def _(fit: Fit) -> Content:
    laws = ", ".join(f"{clean(s.name, 40)} {chance(s.share)}" for s in fit.laws[:_MOST_LAWS])
    sort = "as logged" if fit.schedule.known else "assumed"
    rows = (
        ("Laws", laws),
        ("Noise", f"one value scatters by about {percent(fit.noise)} around the curve"),
        ("Schedule", f"{fit.schedule.kind} ({sort}), made for {_epochs(fit.horizon)}"),
    )
    heading = f"Fit of the {fit.target} loss: {count(int(fit.points.count.sum()), 'point')}"
    return Content(heading, rows, foot=_name(fit.run))


@content.register
def _(run: Run) -> Content:
    rows = [
        ("Train loss", _series(run.train)),
        ("Eval loss", _series(run.eval)),
        ("Planned", _epochs(run.planned_epochs) if run.planned_epochs else ""),
        ("Format", clean(run.source.format, 40)),
        ("Others", ", ".join(clean(name, 40) for name in run.source.others[:_MOST_NAMES])),
        ("Not finite", ", ".join(_nonfinite(run))),
    ]
    notes = tuple(words.said(note) for note in run.notes)
    folds = (Fold(count(len(notes), "note"), notes),) if notes else ()
    return Content(f"Run {_name(run)}", tuple((k, v) for k, v in rows if v), folds)


@content.register
def _(found: Forecast) -> Content:
    heading = f"{found.target} loss {short(found.median)} at epoch {short(found.epoch)}"
    return Content(heading, (("90 %", words.between(found.low, found.high)),))


@content.register
def _(found: Decision) -> Content:
    rows = (
        ("Why", words.said(found.reason)),
        ("Chance of a gain", chance(found.probability_of_improvement)),
    )
    return Content("Stop" if found.stop else "Go on", rows)


@content.register
def _(found: Replay) -> Content:
    stops = f"at {found.unit} {short(found.stop_epoch)}" if found.stopped else "never"
    if not math.isfinite(found.best_loss):
        return Content(
            clean(found.policy, 100), (("Stops", stops), ("Keeps", "nothing: no loss is finite"))
        )
    kept = (
        f"{found.series} loss {short(found.best_loss)} of {found.unit} {short(found.best_epoch)}"
    )
    rows = (
        ("Stops", f"{stops}, {found.evals_spent} of {count(found.evals_total, 'evaluation')}"),
        ("Keeps", kept),
        ("Regret", f"{percent(found.regret)} above the best of the log"),
    )
    return Content(clean(found.policy, 100), rows)


def _series(series: Series) -> str:
    usable = series.finite().loss
    if not usable.size:
        return ""
    ends = f"from {short(float(usable[0]))} to {short(float(usable[-1]))}"
    least = f"lowest {short(float(np.min(usable)))}"
    return f"{count(len(series), 'point')} ({clean(series.key or '?', 40)}), {ends}, {least}"


def _nonfinite(run: Run) -> list[str]:
    return [f"{n} of {clean(key, 40)}" for key, n in run.nonfinite.items()][:_MOST_NAMES]


def _name(run: Run) -> str:
    return words.name(run.source.path, run.source.run)


def _epochs(number: float) -> str:
    return f"{short(number)} {'epoch' if number == 1 else 'epochs'}"
