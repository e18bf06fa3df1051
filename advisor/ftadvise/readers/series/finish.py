"""From a draft to a `Run`: gives every point a time and says what had to be assumed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.readers.series.clock import split_restarts
from ftadvise.run import FloatArray, LearningRates, Run, Series, Settings, Source, as_floats

if TYPE_CHECKING:
    from ftadvise.readers.series.draft import Curve, Draft


def runs_of(draft: Draft, name: str, planned_epochs: float | None = None) -> list[Run]:
    """Return the runs in `draft`, several when its clock returns to the start."""
    parts = split_restarts(draft)
    runs: list[Run] = []
    for place, part in enumerate(parts, 1):
        own = name
        if len(parts) > 1:
            own = f"{name} (start {place})" if name else f"start {place}"
        _complete(part, planned_epochs)
        for role, curve in part.curves.items():
            part.curves[role] = replace(
                curve, step=_never_back(curve.step), epoch=_never_back(curve.epoch)
            )
        runs.append(_run(part, own))
    return runs


def _never_back(time: FloatArray) -> FloatArray:
    """Return `time` with NaN where it is behind an earlier point or infinite."""
    # Most are in order as they are; a copy of each would double the memory of a long log.
    if np.isfinite(time).all() and not (time[1:] < time[:-1]).any():
        return time
    known = np.where(np.isfinite(time), time, np.nan)
    latest = np.fmax.accumulate(known) if known.size else known
    return np.where(known < latest, np.nan, known)


def _complete(draft: Draft, planned_epochs: float | None) -> None:
    lead = draft.lead
    follower = draft.curves.get("eval") if "train" in draft.curves else None
    if lead.untimed and not (follower is not None and not follower.untimed):
        _index_as_epoch(draft)
    elif lead.untimed and follower is not None:
        # Only the evaluations are timed: the train losses lie evenly up to the last of them.
        draft.curves["train"] = _spread(lead, follower)
        draft.notes.append("The train loss has no step or epoch; spread evenly over the run.")
    for role in ("eval", "rate"):
        curve = draft.curves.get(role)
        if curve is not None and curve.untimed and curve is not draft.lead:
            _place(draft, role, curve)
    _first_epoch_is_zero(draft, planned_epochs)


def _index_as_epoch(draft: Draft) -> None:
    """Number the points of a log without any step or epoch."""
    lead, held_out = draft.lead, draft.curves.get("eval")
    per_epoch = 1.0
    if held_out is not None and lead is not held_out and _once_per_epoch(draft, lead, held_out):
        per_epoch = lead.size / held_out.size
        draft.notes.append(
            "No step or epoch in the log, and far fewer evaluations than train losses: "
            "taken as one evaluation per epoch."
        )
    else:
        draft.notes.append("No step or epoch in the log: points are taken as epochs 1, 2, 3, ...")
    if draft.same_places:
        epoch = np.arange(1.0, len(lead) + 1)
    else:
        epoch = lead.order * lead.size / per_epoch
    draft.curves["train" if "train" in draft.curves else "eval"] = replace(lead, epoch=epoch)


def _once_per_epoch(draft: Draft, train: Curve, held_out: Curve) -> bool:
    return not draft.same_places and train.size >= 10 * held_out.size


def _place(draft: Draft, role: str, curve: Curve) -> None:
    """Give `curve`, which brings no time of its own, times from the lead."""
    lead = draft.lead
    what = "eval loss" if role == "eval" else "learning rate"
    if draft.same_places:
        # Same rows or lists of one length: the time of the lead's latest point there.
        at = np.searchsorted(lead.order, curve.order, side="right") - 1
        start = at < 0
        at = np.maximum(at, 0)
        step, epoch = (np.where(start, 0.0, a[at]) for a in (lead.step, lead.epoch))
        if start.any() and not (curve.order < lead.order[0]).all():
            step, epoch = (a[at] for a in (lead.step, lead.epoch))
        draft.curves[role] = replace(curve, step=step, epoch=epoch)
        return
    if curve.size == lead.size + 1 and len(curve) == curve.size and len(lead) == lead.size:
        zero = np.zeros(1)
        step, epoch = (np.concatenate([zero * a[0], a]) for a in (lead.step, lead.epoch))
        draft.curves[role] = replace(curve, step=step, epoch=epoch)
        draft.notes.append(f"One more {what} than train losses: the first is before training.")
        return
    draft.curves[role] = _spread(curve, lead)
    if role == "eval":
        draft.notes.append(
            f"The eval loss has no step or epoch of its own: its {curve.size} points are spread "
            "evenly over the run."
        )


def _spread(curve: Curve, over: Curve) -> Curve:
    """Return `curve` with its points spread evenly up to the last point of `over`."""
    return replace(
        curve,
        step=_even(curve.order, over.order, over.step),
        epoch=_even(curve.order, over.order, over.epoch),
    )


def _even(order: FloatArray, known_order: FloatArray, time: FloatArray) -> FloatArray:
    known = np.isfinite(time)
    if not known.any():
        return np.full(order.size, np.nan)
    x = np.concatenate([[0.0], known_order[known]])
    spread: FloatArray = np.interp(order, x, np.concatenate([[0.0], time[known]]))
    return spread


def _first_epoch_is_zero(draft: Draft, planned_epochs: float | None) -> None:
    """Shift epochs that are numbered from 0, so that an epoch says what is done, not begun."""
    train = draft.curves.get("train")
    if train is None or len(train) < 1 or train.epoch[0] != 0:
        return
    epochs = np.concatenate([c.epoch for c in draft.curves.values()])
    epochs = epochs[np.isfinite(epochs)]
    if (epochs != np.floor(epochs)).any() or (len(train) > 1 and train.epoch[1] == 0):
        return
    if train.step[0] == 0 or planned_epochs == epochs.max() > 0:  # a row before training
        return
    for role, curve in draft.curves.items():
        draft.curves[role] = replace(curve, epoch=curve.epoch + 1)
    draft.notes.append("Epochs are numbered from 0 in the log; epoch 0 is reported as epoch 1.")


def _run(draft: Draft, name: str) -> Run:
    nonfinite = {key: count for key, count in draft.gradients.items() if count}
    series: dict[str, Series] = {}
    for role in ("train", "eval"):
        curve = draft.curves.get(role)
        if curve is None:
            series[role] = Series()
            continue
        finite = np.isfinite(curve.value)
        if not finite.all():
            nonfinite[curve.key] = int((~finite).sum())
        loss = np.where(finite, curve.value, np.nan)
        series[role] = Series(
            curve.key,
            as_floats(curve.step),
            as_floats(curve.epoch),
            as_floats(loss),
            rivals=curve.rivals,
        )
    run = Run(
        train=series["train"],
        eval=series["eval"],
        lr=_rates(draft.curves.get("rate")),
        planned_steps=draft.total_steps,
        source=Source(run=name),
        nonfinite=nonfinite,
        restarts=draft.restarts,
        notes=tuple(dict.fromkeys(draft.notes)),
    )
    return with_plan(run, None, draft.total_steps)


def _rates(curve: Curve | None) -> LearningRates:
    if curve is None:
        return LearningRates()
    rate = np.where(np.isfinite(curve.value), curve.value, np.nan)
    return LearningRates(curve.key, as_floats(curve.step), as_floats(curve.epoch), as_floats(rate))


def with_plan(
    run: Run,
    epochs: float | None,
    steps: float | None,
    settings: Settings | None = None,
    per_epoch: float | None = None,
) -> Run:
    """Return `run` with what was planned.

    A limit in steps wins over one in epochs where it is reached first, because that is the end
    that the learning rate runs towards.

    Args:
        run: The run as observed.
        epochs: Planned epochs, None where unknown.
        steps: Planned optimizer steps, None where unknown.
        settings: What else is known of the set-up.
        per_epoch: Steps in an epoch, where they are known better than from the run's points.
    """
    per_epoch = per_epoch or replace(run, planned_epochs=None, planned_steps=None).steps_per_epoch
    if steps and per_epoch:
        within = steps / per_epoch
        # transformers rounds the steps of an epoch down, so half a per cent is no difference.
        if epochs is None or within < 0.994 * epochs:
            whole = round(within)
            near = whole > 0 and abs(within - whole) < 0.02 and abs(within / whole - 1) < 0.006
            epochs = float(whole) if near else within
    return replace(
        run,
        planned_epochs=float(epochs) if epochs else None,
        planned_steps=float(steps) if steps else None,
        settings=settings if settings is not None else run.settings,
    )
