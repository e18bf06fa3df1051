"""From the metrics of a tracker, each a series of (time, step, value), to the table of a run.

Trackers keep every metric by itself, often with steps of its own: batches for the train loss,
epochs for the eval loss. The points are put in the order of their time, so that a restart, where
the steps go back, is found in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise.readers.json_logs.setup import planned_epochs_in, settings_in
from ftadvise.readers.series.finish import with_plan
from ftadvise.readers.series.keys import LOSSES, meaning
from ftadvise.readers.series.tables import Column, Table, number
from ftadvise.readers.series.values import runs_of_tables
from ftadvise.readers.wanted import ANY, NoSuchSeries, Wanted
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.run import Run, Settings


Point = tuple[float, float, float]
"""Time, step and value."""


@dataclass
class Tracked:
    """What a tracker holds about one run.

    Attributes:
        path: What the run is called, outermost container first.
        metrics: The points of each metric by name.
        params: The parameters by name.
        others: Names of metrics that were left out, for want of a meaning.
    """

    path: tuple[str, ...]
    metrics: dict[str, list[Point]] = field(default_factory=dict[str, list[Point]])
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    others: list[str] = field(default_factory=list[str])

    @property
    def planned_epochs(self) -> float | None:
        """Epochs that the parameters ask for."""
        return planned_epochs_in({"params": self.params})

    @property
    def planned_steps(self) -> float | None:
        """Steps that the parameters ask for; transformers writes -1 for none."""
        steps = number(self.params.get("max_steps"))
        return steps if steps is not None and 0 < steps < 1e9 else None

    @property
    def settings(self) -> Settings:
        """What else the parameters say."""
        return settings_in({"params": in_use(self.params)})


def means_something(name: str, wanted: Wanted = ANY) -> bool:
    """Return whether a metric called `name` belongs to the history of a run, or was asked for."""
    return meaning(name).role != "other" or wanted.names(name)


def as_param(text: str) -> Any:
    """Return a parameter as it was before a tracker made text of it."""
    if text in ("True", "False"):
        return text == "True"
    # "SchedulerType.COSINE" is what Python makes of a member of an enumeration.
    return text.rpartition(".")[2].lower() if text.startswith("SchedulerType.") else text


def in_use(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters without the steps that transformers ignores.

    It writes the default of `save_steps` also where it saves once per epoch.
    """
    unused = [
        f"{what}_steps"
        for what in ("eval", "save", "logging")
        if not str(params.get(f"{what}_strategy", "steps")).lower().endswith("steps")
    ]
    return {name: value for name, value in params.items() if name not in unused}


def runs_of(tracked: Iterable[Tracked], wanted: Wanted) -> list[Run]:
    """Return the runs that have a loss, named as they were tracked.

    Raises:
        NoSuchSeries: FT409, no run has a series of the name that was asked for.
    """
    runs: list[Run] = []
    missing: NoSuchSeries | None = None
    for one in tracked:
        try:
            runs += _runs(one, wanted)
        except NoSuchSeries as error:  # another run may have it
            missing = missing or error
    if missing is not None and not runs:
        raise missing
    return runs


def _runs(one: Tracked, wanted: Wanted) -> list[Run]:
    said: list[str] = []
    table = table_of(one, said)
    made = runs_of_tables([table], wanted, one.planned_epochs, one.settings)
    runs: list[Run] = []
    for run in made:
        planned = with_plan(run, run.planned_epochs, one.planned_steps or run.planned_steps)
        source = replace(run.source, run=name_of(one.path, run.source.run))
        runs.append(replace(planned, source=source, notes=(*said, *run.notes)))
    return runs


def name_of(path: tuple[str, ...], start: str) -> str:
    """Return the name of a run; `start` tells the parts of one that was begun anew."""
    name = clean("/".join(path), 80)
    return f"{name} ({start})" if name and start else name or start


def table_of(run: Tracked, notes: list[str]) -> Table:
    """Return the table of a run; what had to be assumed is added to `notes`."""
    known = {
        name: sorted(points, key=lambda point: point[:2])
        for name, points in run.metrics.items()
        if points
    }
    places = _places(known)
    size = 1 + max((place[-1] for place in places.values()), default=-1)
    losses = [points for name, points in known.items() if _role(name) in LOSSES]
    epochs = _counts_epochs(known, run.planned_epochs)
    untimed = max(map(len, losses), default=0) > 1 and _one_step(
        [point for points in losses for point in points]
    )
    if epochs:
        notes.append("One step per planned epoch: the steps are taken as epochs.")
    elif untimed:
        notes.append("Every point has the same step: the points are taken in their order.")
    table = Table(run.path, rows=True)
    for name, points in known.items():
        steps = np.array([step for _, step, _ in points], dtype=np.float64)
        known_steps = None if untimed or (len(points) > 1 and _one_step(points)) else steps
        table.columns.append(
            Column(
                name=name,
                meaning=meaning(name),
                index=np.array(places[name], dtype=np.int64),
                value=np.array([value for _, _, value in points], dtype=np.float64),
                size=size,
                step=None if epochs else known_steps,
                epoch=known_steps if epochs else None,
            )
        )
    return table


def _role(name: str) -> str:
    return meaning(name).role


def _one_step(points: list[Point]) -> bool:
    """Return whether all points have the one step that stands for none was given."""
    return len({step for _, step, _ in points}) == 1


def _places(metrics: dict[str, list[Point]]) -> dict[str, list[int]]:
    """Return for each point of each metric its row in the history of the run.

    Metrics that are logged one after another at one step share a row. The points of each metric
    must be in order.
    """
    order = sorted(
        (time, step, place, name)
        for name, points in metrics.items()
        for place, (time, step, _) in enumerate(points)
    )
    places: dict[str, list[int]] = {name: [] for name in metrics}
    row, at, seen = -1, None, set[str]()
    for _, step, _, name in order:
        if step != at or name in seen:
            row, at, seen = row + 1, step, set[str]()
        seen.add(name)
        places[name].append(row)
    return places


def _counts_epochs(metrics: dict[str, list[Point]], planned: float | None) -> bool:
    """Return whether the steps of the losses number the epochs: 0, 1, 2, ... as planned."""
    if planned is None or any(_role(name) == "epoch" for name in metrics):
        return False
    losses = [points for name, points in metrics.items() if _role(name) in LOSSES]
    longest = max(losses, key=len) if losses else []
    steps = np.array([step for _, step, _ in longest])
    in_turn = steps.size > 1 and bool((np.diff(steps) == 1).all())
    return in_turn and steps[0] in (0, 1) and steps.size <= planned


def planned_steps(steps: float | None, table: Table) -> list[Column]:
    """Return the column that says how long the schedule is; none for a table without a point."""
    first: Column | None = next(iter(table.columns), None)
    if steps is None or first is None or not first.value.size:
        return []
    value = np.array([steps], dtype=np.float64)
    return [Column("max_steps", meaning("max_steps"), first.index[-1:], value, first.size)]
