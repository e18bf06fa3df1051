"""One training as it was printed, and the way from there to a `Run`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise.readers.console_logs.printed_plan import Plan
from ftadvise.readers.series.finish import with_plan
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.series.search import Found, search
from ftadvise.readers.series.tables import number
from ftadvise.readers.series.values import nothing_found, runs_of_tables
from ftadvise.readers.wanted import NoSuchSeries, match
from ftadvise.run import Settings
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.readers.source import Source
    from ftadvise.readers.wanted import Wanted
    from ftadvise.run import Run

Row = dict[str, Any]

MAX_TRAININGS = 500


@dataclass
class Training:
    """One call of a trainer as it was printed.

    Attributes:
        rows: What it logged, one row per moment, under the names of the log.
        name: What tells it from others in the same file, such as `"cell 7"`.
        plan: What was planned.
        per_epoch: Steps in an epoch, where the log tells.
        notes: What had to be assumed.
    """

    rows: list[Row] = field(default_factory=list[Row])
    name: str = ""
    plan: Plan = field(default_factory=Plan)
    per_epoch: float | None = None
    notes: list[str] = field(default_factory=list[str])


def role_of(row: Row, wanted: Wanted) -> str:
    """Return "train" or "eval" for a row that holds such a loss, else ""."""
    roles = {_role(key, wanted) for key, value in row.items() if number(value) is not None}
    return "train" if "train" in roles else "eval" if "eval" in roles else ""


def _role(key: str, wanted: Wanted) -> str:
    for role in ("train", "eval"):
        name = wanted.of(role)
        if name and match(key, name):
            return role
    return meaning(key).role


def runs_of_trainings(
    source: Source, trainings: Sequence[Training], notes: Sequence[str] = ()
) -> list[Run]:
    """Return the runs in `trainings`, with their plans and names.

    Raises:
        LogError: FT405 no history in them, FT406 a history of something else, FT409 no series of
            the name that was asked for.
    """
    runs: list[Run] = []
    everything = Found()
    missing: NoSuchSeries | None = None
    for training in trainings[:MAX_TRAININGS]:
        found = search(training.rows, source.wanted)
        everything.tables += found.tables
        everything.other += found.other
        everything.finals.update(found.finals)
        planned = training.plan.epochs
        try:
            own = runs_of_tables(found.tables, source.wanted, planned, None, found.other)
        except NoSuchSeries as error:  # which another training in the file may have
            missing = missing or error
            continue
        name = training.name if len(trainings) > 1 else ""
        runs += [_with_plan(run, training, name) for run in own]
    if not runs:
        raise missing or nothing_found(source.label, everything)
    if len(trainings) > MAX_TRAININGS:
        notes = (*notes, f"Read the first {MAX_TRAININGS} trainings of {len(trainings)}.")
    return [replace(run, notes=(*notes, *run.notes)) for run in runs]


def _with_plan(run: Run, training: Training, name: str) -> Run:
    plan = training.plan
    steps = plan.steps or run.planned_steps
    reached = max([*run.train.epoch[-1:], *run.eval.epoch[-1:]], default=0.0)
    epochs = plan.epochs if plan.epochs and not plan.epochs < 0.99 * reached else None
    run = with_plan(run, epochs, steps, per_epoch=training.per_epoch or plan.per_epoch)
    settings: dict[str, Any] = {**plan.settings, "num_train_epochs": run.planned_epochs}
    settings["eval_steps"] = _eval_steps(run, plan.settings.get("eval_steps"))
    part = run.source.run
    full = f"{name} ({part})" if name and part else name or part
    return replace(
        run,
        settings=Settings(**settings),
        source=replace(run.source, run=clean(full, 80)),
        notes=(*training.notes, *run.notes),
    )


def _eval_steps(run: Run, said: float | None) -> float | None:
    """Return the steps from one evaluation to the next as they were, or as they were set."""
    step = run.eval.step[np.isfinite(run.eval.step)]
    if step.size > 1:
        return float(np.median(np.diff(step)))
    return said if said and step.size == 1 and step[0] % said == 0 else None
