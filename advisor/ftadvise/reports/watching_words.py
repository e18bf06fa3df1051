"""What is said about a run in progress, in words: how far, how it may end, how long, what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import chance, count, percent, short
from ftadvise.reports.words import between
from ftadvise.reports.wrapping import GLUE
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.errors import LogError
    from ftadvise.watching.progress import Point, Progress
    from ftadvise.watching.status import Status

NO_DECISION = "no eval loss yet, and a train loss cannot tell when to stop"
SAME = 0.001  # of a loss: nearer to the best no difference is named
_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))
_SOURCES = {"log": "by the times in the log", "growth": "by how the log grew"}


def duration(seconds: float) -> str:
    """Return a time in its two largest units, as in `1 h 5 min` or `0.84 s`."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    for name, size, below, part in _UNITS:
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def money(amount: float) -> str:
    """Return an amount of money with two digits after the point, or more where it is small."""
    return f"{amount:,.2f}" if amount >= 0.1 or amount == 0 else f"{amount:.2g}"


def where(status: Status) -> str:
    """Return how far the run is, and when its log was written."""
    progress = status.progress
    planned = progress.run.planned_epochs
    parts = [epochs(progress, of_plan=True)]
    if planned and progress.counts_epochs:
        parts[0] += f" ({percent(min(1.0, progress.epoch / planned))})"
    parts += steps(progress, of_plan=True)
    if progress.target == "eval":
        parts.append(count(progress.points, "evaluation"))
    return ", ".join([*parts, f"written {duration(status.quiet)} ago"])


def epochs(progress: Progress, of_plan: bool) -> str:
    """Return the epochs done, of those planned if asked."""
    unit = "epoch" if progress.counts_epochs else "time"
    planned = progress.run.planned_epochs
    text = f"{unit} {short(progress.epoch)}"
    return f"{text} of {short(planned)}" if of_plan and planned else text


def steps(progress: Progress, of_plan: bool) -> list[str]:
    """Return the steps done as a list of one sentence part; none where they are unknown."""
    if progress.step is None:
        return []
    planned = progress.run.planned_steps
    return [f"step {progress.step}" + (f" of {short(planned)}" if of_plan and planned else "")]


def point(at: Point, progress: Progress) -> str:
    """Return a loss and where it stands."""
    unit = "epoch" if progress.counts_epochs else "time"
    return f"{short(at.loss)} at{GLUE}{unit}{GLUE}{short(at.epoch)}"


def foreseen(progress: Progress) -> str:
    """Return the forecast of the end, or why there is none."""
    found, best = progress.forecast, progress.best
    if found is None:
        return clean(progress.trouble, 200) or "the planned end is reached"
    unit = "epoch" if progress.counts_epochs else "time"
    text = (
        f"{short(found.median)} at {unit} {short(found.epoch)} "
        f"(90 %: {between(found.low, found.high)})"
    )
    if best and best.loss > 0:
        text += f", {_beside(found.median / best.loss - 1.0)} the best so far"
    if not progress.run.planned_epochs:
        text += "; the log names no planned end"
    return text


def _beside(off: float) -> str:
    if abs(off) < SAME:
        return "the same as"
    return f"{percent(abs(off))} {'above' if off > 0 else 'below'}"


def decided(progress: Progress) -> str:
    """Return whether to stop, with the reason."""
    found = progress.decision
    if found is None:
        return NO_DECISION
    reason = clean(found.reason, 300)
    if found.stop:
        return f"stop: {reason}"
    if progress.wavers:
        likely = chance(found.probability_of_improvement)
        return f"go on for now: a gain of 1 % has a chance of {likely}; once more, and it is stop"
    return f"go on: {reason}"


def time_left(status: Status) -> str:
    """Return how long an epoch takes, how long the rest, and how that is known."""
    if status.pace is None:
        return "no times in the log, and it has not grown since the watch began"
    source = _SOURCES[status.pace.source]
    per = "epoch" if status.progress.counts_epochs else "unit of time"
    each = f"{duration(status.pace.seconds_per_epoch)} per {per}"
    if status.left is None:
        return f"{each} ({source})"
    end = f"epoch {short(status.progress.end)}"
    left = f"{duration(status.left)} left to {end}" if status.left else f"{end} is due"
    return f"{each}, {left} ({source})"


def cost(status: Status, price: float) -> str:
    """Return what the run costs at `price` an hour, and its tokens."""
    parts: list[str] = []
    progress, planned = status.progress, status.progress.run.planned_epochs
    if status.pace is not None:
        each = status.pace.seconds_per_epoch / 3600.0 * price
        parts.append(f"about {money(each * progress.epoch)} so far")
        if status.left:
            parts.append(f"{money(status.left / 3600.0 * price)} more to the planned end")
        parts.append(f"{money(price)} an hour")
    if status.tokens:
        tokens = f"{status.tokens:,.0f} tokens"
        if planned and progress.epoch and status.ended is None:
            tokens += f" of {status.tokens / progress.epoch * planned:,.0f}"
        parts.append(tokens)
    return ", ".join(parts) or "not known without a time per epoch"


def named(error: LogError, path: str) -> str:
    """Return what is wrong, without the path that stands above it already."""
    return f"{clean(error.message, 300).removeprefix(f'{path}: ')} [{error.code}]"
