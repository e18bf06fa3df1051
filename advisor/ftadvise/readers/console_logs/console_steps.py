"""Gives every printed row its step, which transformers leaves out of what it prints.

The step stands in a progress bar beside the row, or follows from the epoch and the steps of an
epoch. Where neither tells, rounded epochs are pulled apart, so that no two rows share one.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.console_logs.moments import ROUNDED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ftadvise.readers.console_logs.moments import Moment
    from ftadvise.readers.console_logs.printed_plan import Plan
    from ftadvise.run import FloatArray


def give_steps(
    moments: Sequence[Moment], plan: Plan, per_epoch: float | None, notes: list[str]
) -> None:
    """Write the step into every row, as far as the log tells.

    Args:
        moments: The rows of one training in order.
        plan: What was planned for it; gets the steps of the progress bar.
        per_epoch: Steps in an epoch, None where unknown.
        notes: Gets one sentence on where the steps come from.
    """
    train = [moment for moment in moments if moment.role == "train"] or list(moments)
    if 2 * sum(moment.step is not None for moment in train) >= len(train):
        return
    total = plan.steps or total_of(train)
    steps = _from_bars(train, total)
    if steps is not None:
        plan.steps = total
        notes.append("The steps come from the progress bar beside each row.")
    elif per_epoch:
        steps = _from_epochs(train, per_epoch)
        if steps is not None:
            notes.append(f"The steps follow from the epochs, at {per_epoch:.6g} steps in each.")
    if steps is None:
        _spread_equal_epochs(train, notes)
        return
    for moment, step in zip(train, steps, strict=True):
        moment.row["step"] = step
    _follow(moments, total, per_epoch)


def _from_bars(train: Sequence[Moment], total: float | None) -> list[float] | None:
    """Return the steps of the bars below the rows, or above them where those fit better."""
    found: list[tuple[float, list[float]]] = []
    for below in (True, False):
        steps: list[float] = []
        for moment in train:
            bars = (moment.after, moment.before) if below else (moment.before, moment.after)
            bar = next((b for b in bars if b is not None and b.total == total), None)
            if bar is None:
                return None
            steps.append(float(bar.step))
        if _in_order(train, steps) and _in_proportion(train, steps):
            found.append((_even(steps), steps))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _even(steps: list[float]) -> float:
    """Return the share of steps at multiples of the interval between rows."""
    if len(steps) < 3:
        return 0.0
    every, _ = Counter(np.diff(steps).tolist()).most_common(1)[0]
    return sum(step % every == 0 for step in steps) / len(steps) if every > 0 else 0.0


def total_of(moments: Sequence[Moment]) -> float | None:
    """Return the total of the progress bar that most train rows stand beside."""
    totals = Counter(
        bar.total
        for moment in moments
        if moment.role == "train"
        for bar in {moment.before, moment.after}
        if bar is not None
    )
    return max(totals, key=lambda total: (totals[total], total)) if totals else None


def _in_order(train: Sequence[Moment], steps: list[float]) -> bool:
    for place in range(1, len(train)):
        before, now = train[place - 1].epoch, train[place].epoch
        resumed = before is not None and now is not None and now < before
        if steps[place] <= steps[place - 1] and not resumed:
            return False
    return True


def _in_proportion(train: Sequence[Moment], steps: list[float]) -> bool:
    """Whether steps and epochs grow together; bars that lag behind the rows do not."""
    known = [(s, m.epoch) for s, m in zip(steps, train, strict=True) if m.epoch]
    if len(known) < 2:
        return True
    step = np.array([s for s, _ in known])
    epoch = np.array([e for _, e in known], dtype=np.float64)
    per_epoch = float(step[-1] / epoch[-1])
    off = np.abs(step - per_epoch * epoch)
    allowed = 1.5 + 0.02 * step + 2 * ROUNDED * per_epoch
    return bool((off <= allowed).mean() >= 0.9)


def _from_epochs(train: Sequence[Moment], per_epoch: float) -> list[float] | None:
    """Return the steps at evenly spaced rows, or those nearest to the epochs."""
    known = [moment.epoch for moment in train]
    if any(epoch is None for epoch in known):
        return None
    exact = np.array(known, dtype=np.float64) * per_epoch
    # The epoch counts micro-batches of the last, shorter step of an epoch too: a step of room.
    room = 1.0 + ROUNDED * per_epoch
    ahead = bool((np.diff(exact) >= 0).all())
    every = round((exact[-1] - exact[0]) / (exact.size - 1)) if exact.size > 1 and ahead else 0
    for interval in dict.fromkeys((every, every + 1, every - 1)):
        for steps in _multiples(exact, interval) if interval > 0 else ():
            if (np.abs(steps - exact) <= room).all() and (np.diff(steps) > 0).all():
                return list(map(float, steps))
    nearest = np.maximum(np.round(exact), 1.0)
    forward = np.diff(nearest)[np.diff(exact) >= 0]
    return list(map(float, nearest)) if (forward > 0).all() else None


def _multiples(exact: FloatArray, interval: int) -> Iterator[FloatArray]:
    """Yield steps near to `exact` at multiples of `interval`: at all of them, or at some.

    The first row may be that of step 1, as with `logging_first_step`.
    """
    first = max(round(float(exact[0]) / interval), 1)
    yield interval * (first + np.arange(exact.size, dtype=np.float64))
    some = interval * np.maximum(np.round(exact / interval), 1.0)
    some[0] = 1.0 if exact[0] < 1.5 else some[0]
    yield some


def whole_epochs(moments: Sequence[Moment], total: float) -> float | None:
    """Return the whole number of epochs that `total` steps make, or None when they make none.

    Every row bounds the steps in an epoch, because its epoch is rounded; all of them together
    leave a narrow range, and few runs end near a whole epoch by chance.
    """
    low, high = 0.0, math.inf
    for moment in moments:
        step, epoch = moment.step, moment.epoch
        if moment.role == "train" and step and epoch:
            rounded = ROUNDED if round(epoch, 2) == epoch else 6e-4 * epoch
            low = max(low, step / (epoch + rounded))
            high = min(high, step / max(epoch - rounded, 1e-9))
    if not 0 < low <= high < math.inf:
        return None
    # The steps of an epoch are rounded down: by up to one step for the micro-batches left over.
    least, most = total / high, total / (low * 0.998 - 0.5) if low > 1 else math.inf
    whole = math.ceil(least - 1e-6)
    return float(whole) if whole >= 1 and whole <= most < least + 0.3 else None


def _follow(moments: Sequence[Moment], total: float | None, per_epoch: float | None) -> None:
    """Give the evaluations the step of the bar below them, of the train row or by the epoch."""
    last: Moment | None = None
    for moment in moments:
        if moment.step is not None:
            last = moment
            continue
        reached = 0.0 if last is None or last.step is None else last.step
        bar = moment.after
        if bar is not None and bar.total == total and bar.step >= reached:
            moment.row["step"] = float(bar.step)
        elif last is not None and last.row.get("epoch") == moment.row.get("epoch"):
            moment.row["step"] = last.row["step"]
        elif per_epoch and moment.epoch is not None:
            moment.row["step"] = float(round(moment.epoch * per_epoch))


def _spread_equal_epochs(train: Sequence[Moment], notes: list[str]) -> None:
    """Pull rows with one rounded epoch apart, within what was rounded away."""
    epochs = [moment.epoch for moment in train]
    known = sorted({epoch for epoch in epochs if epoch is not None})
    if known != [0.0] and all(epoch == math.floor(epoch) for epoch in known):
        return  # whole epochs number the epoch in progress; what reads the rows sees to that
    gaps = np.diff(known)
    width = min(float(gaps.min()), 0.01) if gaps.size else 0.01
    place = 0
    spread = False
    while place < len(train):
        end = place + 1
        while end < len(train) and epochs[end] == epochs[place]:
            end += 1
        epoch, count = epochs[place], end - place
        if epoch is not None and count > 1:
            spread = True
            low = max(epoch - width / 2, 0.0)
            for place_in, moment in enumerate(train[place:end], 1):
                share = place_in / (count + 1)
                moment.row["epoch"] = low + (epoch + width / 2 - low) * share
        place = end
    if spread:
        notes.append("The log rounds the epoch; rows of one rounded epoch are spread within it.")
