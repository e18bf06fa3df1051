"""A run in progress as people and scripts look at it: a picture, a line, an object."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ftadvise.numbers import short
from ftadvise.reports import jsonout
from ftadvise.reports.curves import FRAME, Picture, draw
from ftadvise.reports.style import PLAIN, Style
from ftadvise.reports.text import in_ascii
from ftadvise.reports.watching_words import (
    NO_DECISION,
    cost,
    decided,
    duration,
    epochs,
    foreseen,
    named,
    point,
    steps,
    time_left,
    where,
)
from ftadvise.reports.wrapping import GLUE, wrap
from ftadvise.text import clean
from ftadvise.watching.progress import points_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.errors import LogError
    from ftadvise.run import Run, Series
    from ftadvise.watching.progress import Progress
    from ftadvise.watching.status import Status

SCHEMA = "ftadvise.progress/1"
MOST_DRAWN = 4000  # points: a chart of 100 columns has no room for more
MOST_ROWS, LEAST_ROWS = 13, 4  # of the curves
_LABEL = 13  # columns, as in the report of `analyze`


def picture(
    status: Status,
    width: int = 80,
    height: int | None = None,
    ascii_only: bool = False,
    style: Style = PLAIN,
    price: float | None = None,
    trouble: LogError | None = None,
) -> list[str]:
    """Return the lines of the picture of a run.

    Args:
        status: What there is to say.
        width: Columns of a line.
        height: Lines that there is room for; the chart is made to fit, or left out.
        ascii_only: Use ASCII characters alone.
        style: Colours.
        price: Of one hour of training; tokens and cost are shown when it is given.
        trouble: Why the log cannot be read just now.
    """
    lines = [style.bold(line) for line in wrap(clean(status.file, 300), width)]
    lines += [style.dim(line) for line in wrap(where(status), width)]
    lines += ["", *_facts(status, width, style, price), *_warnings(status, trouble, width, style)]
    room = MOST_ROWS if height is None else min(MOST_ROWS, height - len(lines) - 1 - FRAME)
    if room >= LEAST_ROWS:
        going = status.ended is None
        lines += ["", *_chart(status.progress, going, width, room, ascii_only, style)]
    return [in_ascii(line) for line in lines] if ascii_only else lines


def line(status: Status, progress: Progress) -> str:
    """Return one line about one evaluation.

    Args:
        status: Of the run now.
        progress: As it was at that evaluation.
    """
    parts = [epochs(progress, of_plan=True), *steps(progress, of_plan=False)]
    if progress.last:
        parts.append(f"{progress.target} loss {short(progress.last.loss)}")
    if progress.best:
        parts.append(f"best {point(progress.best, progress)}")
    if progress.forecast:
        parts.append(f"forecast {foreseen(progress)}")
    parts.append(decided(progress))
    if status.left is not None:
        parts.append(f"{duration(status.left)} left")
    return ", ".join(parts).replace(GLUE, " ")


def as_dict(status: Status, progress: Progress) -> dict[str, Any]:
    """Return one evaluation in the schema `ftadvise.progress/1`: strict JSON, no NaN."""
    last, decision = progress.last, progress.decision
    best = progress.best if progress.target == "eval" else None
    forecast = progress.forecast
    told = {
        "schema": SCHEMA,
        "target": progress.target,
        "epoch": last.epoch if last else None,
        "step": last.step if last else None,
        "eval_loss": last.loss if last and progress.target == "eval" else None,
        "train_loss": progress.train.loss if progress.train else None,
        "best_eval_loss": best.loss if best else None,
        "best_epoch": best.epoch if best else None,
        "planned_epochs": progress.run.planned_epochs,
        "forecast": {
            "epoch": forecast.epoch,
            "median": jsonout.finite(forecast.median),
            "low": jsonout.finite(forecast.low),
            "high": jsonout.finite(forecast.high),
        }
        if forecast
        else None,
        "probability_of_improvement": decision.probability_of_improvement if decision else None,
        "stop": decision.stop if decision else False,
        "reason": clean(decision.reason, 300) if decision else NO_DECISION,
        "seconds_per_epoch": status.pace.seconds_per_epoch if status.pace else None,
        "seconds_left": status.left,
        # Of several evaluations in one look only the last is where the run ended.
        "ended": status.ended if progress.points == status.progress.points else None,
    }
    return {key: jsonout.finite(value) for key, value in told.items()}


def waiting(path: str, why: LogError | None, seconds: float, width: int = 80) -> list[str]:
    """Return the lines to show while there is no loss to show."""
    name = clean(path, 300)
    reason = named(why, name) if why is not None else "no loss in it yet"
    return [
        *(wrap(name, width) or ["(no path)"]),
        *wrap(f"waiting for {duration(seconds)}: {reason}", width),
    ]


def _facts(status: Status, width: int, style: Style, price: float | None) -> list[str]:
    progress = status.progress
    lines: list[str] = []

    def say(label: str, text: str, paint: Callable[[str], str] = str) -> None:
        lines.extend(_labelled(label, text, width, paint))

    if progress.last:
        now = point(progress.last, progress)
        if progress.target == "eval" and progress.train:
            now += f"; train loss {point(progress.train, progress)}"
        say("Eval loss" if progress.target == "eval" else "Train loss", now, style.bold)
    if progress.best:
        say("Best so far", point(progress.best, progress))
    if status.ended is None:
        say("Forecast", foreseen(progress))
        stop = progress.decision is not None and progress.decision.stop
        say("Decision", decided(progress), style.red if stop else str)
    if status.pace is not None or status.ended is None:
        say("Time", time_left(status))
    if price is not None:
        say("Cost", cost(status, price))
    return lines


def _warnings(status: Status, trouble: LogError | None, width: int, style: Style) -> list[str]:
    if status.ended is not None:
        hint = f"`ftadvise analyze {clean(status.file, 300)}` says what the next run should be"
        return [
            *_labelled("Ended", clean(status.ended, 300), width, style.green),
            *_labelled("", hint, width, style.dim),
        ]
    if trouble is not None:
        wrong = named(trouble, clean(status.file, 300))
        text = f"the log cannot be read just now: {wrong}"
        return _labelled("Trouble", text, width, style.yellow)
    if status.silent:
        usual = f", and {duration(status.usual)} is the longest so far" if status.usual else ""
        text = (
            f"nothing was written for {duration(status.quiet)}{usual}: it may have died or ended"
        )
        return _labelled("Silent", text, width, style.yellow)
    return []


@functools.lru_cache(maxsize=1)  # one picture is painted again and again while the log rests
def _chart(
    progress: Progress, going: bool, width: int, rows: int, ascii_only: bool, style: Style
) -> tuple[str, ...]:
    run, best = progress.run, progress.best
    series = run.eval if progress.target == "eval" else run.train
    curves = Picture(
        judged=_drawn(run, series),
        name=f"{progress.target} loss",
        train=_drawn(run, run.train) if progress.target == "eval" else (),
        ahead=progress.ahead if going else (),
        best=(best.epoch, best.loss) if best else None,
        end=run.planned_epochs or 0.0,
        unit="epoch" if progress.counts_epochs else "time",
    )
    return tuple(draw(curves, width, rows, ascii_only, style))


def _drawn(run: Run, series: Series) -> list[tuple[float, float]]:
    return [(one.epoch, one.loss) for one in points_of(run, series, MOST_DRAWN)]


def _labelled(label: str, text: str, width: int, paint: Callable[[str], str]) -> list[str]:
    lines = wrap(text, width - _LABEL) or [""]
    return [f"{label if i == 0 else '':<{_LABEL}}{paint(line)}" for i, line in enumerate(lines)]
