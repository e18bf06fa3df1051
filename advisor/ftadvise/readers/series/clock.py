"""Repairs of the time axes: batch counters, whole epochs on every row, restarts."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ftadvise.readers.series.draft import Axis, Curve, Draft
    from ftadvise.readers.series.tables import IntArray
    from ftadvise.run import FloatArray

# More steps back than one point in twenty (but for short logs) is disorder and no restart.
FEW_RESTARTS, MAX_RESTARTS = 20, 200


def rows(
    step: FloatArray | None,
    epoch: FloatArray | None,
    train: IntArray,
    size: int,
    notes: list[str],
) -> dict[str, FloatArray]:
    """Return the step and epoch of every row, repaired.

    Args:
        step: Step of every row as logged, or None.
        epoch: Epoch of every row as logged, or None.
        train: The rows that hold the train loss.
        size: Number of rows.
        notes: Gets one sentence for each repair.
    """
    found: dict[str, FloatArray] = {}
    if step is not None:
        found["step"] = _count_on(step, epoch, notes)
    if epoch is not None:
        parts = _parts_of_epochs(epoch, train, size)
        if parts is not None:
            notes.append("The log numbers the epoch in progress; fractions come from the rows.")
            epoch = parts
        found["epoch"] = epoch
    return found


def _count_on(step: FloatArray, epoch: FloatArray | None, notes: list[str]) -> FloatArray:
    """Turn a counter that starts again in every epoch into one that goes on."""
    if epoch is None:
        return step
    known = np.flatnonzero(np.isfinite(step) & np.isfinite(epoch))
    s, e = step[known], epoch[known]
    back = np.flatnonzero(s[1:] < s[:-1])
    if not back.size or (e[back + 1] <= e[back]).any() or (np.diff(e) < 0).any():
        return step
    first = s[0]
    interval = float(np.median(np.diff(s)[np.diff(s) > 0])) if (np.diff(s) > 0).any() else 1.0
    counted = np.zeros(s.size)
    counted[back + 1] = s[back] - first + interval
    out = step.copy()
    out[known] = s + np.cumsum(counted) + (1.0 if first == 0 else 0.0)
    notes.append("The step starts again in every epoch; steps are counted on from the first.")
    return out


def _parts_of_epochs(epoch: FloatArray, train: IntArray, size: int) -> FloatArray | None:
    """Return fractional epochs where whole ones repeat over many train rows, else None."""
    at_train = epoch[train]
    whole = at_train[np.isfinite(at_train)]
    if whole.size < 3 or (whole != np.floor(whole)).any():
        return None
    if np.unique(whole).size > 0.7 * whole.size or (np.diff(whole) < 0).any():
        return None
    is_train = np.zeros(size)
    is_train[train] = 1.0
    filled = _fill(epoch)
    starts = np.flatnonzero(np.diff(filled, prepend=np.nan) != 0)
    group = np.searchsorted(starts, np.arange(size), side="right") - 1
    done = np.cumsum(is_train)
    before = np.concatenate([[0.0], done])[starts]
    per_group = np.diff(np.append(before, done[-1]))
    # The last epoch may be incomplete, so the earlier ones say how many rows make an epoch.
    per_epoch = max(float(per_group[:-1].max(initial=0.0)), float(per_group[-1]), 1.0)
    base = 0.0 if whole.min() == 0 else 1.0
    share = np.minimum((done - before[group]) / per_epoch, 1.0)
    fractional: FloatArray = filled - base + share
    return fractional


def _fill(values: FloatArray) -> FloatArray:
    """Return `values` with every hole filled from the last known value."""
    known = np.where(np.isfinite(values), np.arange(values.size), -1)
    last = np.maximum.accumulate(known)
    first = int(np.argmax(np.isfinite(values)))
    return values[np.where(last < 0, first, last)]


def split_restarts(draft: Draft) -> list[Draft]:
    """Split a log into its runs where the clock goes back.

    A run that was resumed from a checkpoint goes back a little: its rows replace the older ones
    from there on. A clock that returns to the start is a new run.
    """
    axis = _axis(draft)
    if axis is None:
        return [draft]
    lead = draft.lead
    time = _fill(lead.time(axis))
    back = np.flatnonzero(time[1:] < time[:-1]) + 1
    newest_first = time.size > 2 and back.size == time.size - 1
    if newest_first or back.size > min(max(FEW_RESTARTS, time.size // 20), MAX_RESTARTS):
        return [_sorted(draft, axis)]
    draft.restarts = int(back.size)
    if not back.size:
        return [
            _merged(draft, axis, {role: np.arange(len(c)) for role, c in draft.curves.items()})
        ]
    fresh = _fresh(time, back)
    parts = {
        role: _assign(curve, axis, lead, time, back) if curve is not lead else
        np.searchsorted(back, np.arange(time.size), side="right")
        for role, curve in draft.curves.items()
    }  # fmt: skip
    runs: list[Draft] = []
    bounds = [0, *(np.flatnonzero(fresh) + 1).tolist(), back.size + 1]
    for first, last in itertools.pairwise(bounds):
        mine = {
            role: np.flatnonzero((part >= first) & (part < last)) for role, part in parts.items()
        }
        resumed = {
            int(b): float(time[b]) for b in back[first : last - 1]
        }  # starts of resumed parts within this run
        starts = {role: _cut(parts[role], mine[role], first, list(resumed.values()))
                  for role in mine}  # fmt: skip
        runs.append(_merged(draft, axis, mine, starts))
    if any(not f for f in fresh):
        for run in runs:
            run.notes.append(
                "The step goes back where the run was resumed; the later rows replace the earlier."
            )
    return [run for run in runs if len(run.lead)]


def _axis(draft: Draft) -> Axis | None:
    axes: tuple[Axis, ...] = ("step", "epoch")
    for axis in axes:
        values = draft.lead.time(axis)
        if 2 * np.isfinite(values).sum() > values.size:
            return axis
    return None


def _fresh(time: FloatArray, back: IntArray) -> list[bool]:
    """Return for each step back whether it returns to the start of the log."""
    ahead = np.diff(time)
    interval = float(np.median(ahead[ahead > 0])) if (ahead > 0).any() else 0.0
    fresh: list[bool] = []
    start = time[0]
    for place in back:
        fresh.append(bool(time[place] <= max(start, interval)))
        if fresh[-1]:
            start = time[place]
    return fresh


def _assign(curve: Curve, axis: Axis, lead: Curve, time: FloatArray, back: IntArray) -> IntArray:
    """Return for each point of `curve` the part of the log it belongs to."""
    part = np.searchsorted(lead.order[back], curve.order, side="right")
    # An evaluation before the first train row of a new part already belongs to it.
    following = np.minimum(part, back.size - 1)
    after_last = curve.order > lead.order[back[following] - 1]
    earlier = curve.time(axis) < time[back[following] - 1]
    assigned: IntArray = part + ((part < back.size) & after_last & earlier)
    return assigned


def _cut(part: IntArray, mine: IntArray, first: int, starts: list[float]) -> dict[int, float]:
    """Return where among `mine` a resumed part begins, and at which time."""
    cuts: dict[int, float] = {}
    for offset, start in enumerate(starts, first + 1):
        place = int(np.searchsorted(part[mine], offset))
        cuts[place] = min(start, cuts.get(place, start))
    return cuts


def _merged(
    draft: Draft,
    axis: Axis,
    mine: dict[str, IntArray],
    cuts: dict[str, dict[int, float]] | None = None,
) -> Draft:
    """Return the draft with the points `mine`, later ones replacing earlier ones of their time."""
    curves: dict[str, Curve] = {}
    for role, curve in draft.curves.items():
        index = mine[role]
        own_cuts = (cuts or {}).get(role, {})
        if not own_cuts and index.size == len(curve) and _goes_on(curve.time(axis), index):
            curves[role] = curve
            continue
        kept = _latest(curve.time(axis)[index], own_cuts)
        curves[role] = curve.take(index[kept])
    return replace(
        draft,
        curves={role: c for role, c in curves.items() if len(c)},
        notes=list(draft.notes),
    )


def _goes_on(time: FloatArray, index: IntArray) -> bool:
    """Return whether the points are in their own order and each is later than the one before."""
    in_order = not (index[1:] < index[:-1]).any()
    return in_order and not (time[1:] <= time[:-1]).any()


def _latest(time: FloatArray, cuts: dict[int, float]) -> IntArray:
    """Return the points to keep so that time increases; of equals the last stays."""
    if not cuts and not (np.diff(time) <= 0).any():
        return np.arange(time.size)
    kept: list[int] = []
    for place, now in enumerate(time.tolist()):
        limit = min(now, cuts.get(place, now)) if not math.isnan(now) else cuts.get(place, now)
        while kept and time[kept[-1]] >= limit:
            kept.pop()
        kept.append(place)
    last_cut = cuts.get(time.size)  # a resumed part without a point of this curve
    while last_cut is not None and kept and time[kept[-1]] >= last_cut:
        kept.pop()
    return np.array(kept, dtype=np.int64)


def _sorted(draft: Draft, axis: Axis) -> Draft:
    orders = {
        role: np.argsort(curve.time(axis), kind="stable") for role, curve in draft.curves.items()
    }
    made = _merged(draft, axis, orders)
    made.notes.append("The rows are not in order of time; sorted, with one row kept per step.")
    return made
