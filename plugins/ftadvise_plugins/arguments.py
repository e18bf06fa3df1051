"""The arguments of a trainer, as experiment trackers keep them beside the curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise.readers.json_logs.setup import planned_epochs_in, settings_in
from ftadvise.readers.series.tables import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftadvise.run import Settings

_NO_LIMIT = 1e9  # transformers writes sys.maxsize, and -1, where there is no limit
# Intervals in steps count only under a strategy "steps"; their defaults stand there regardless.
_STRATEGIES = {
    "eval_steps": ("eval_strategy", "evaluation_strategy"),
    "save_steps": ("save_strategy",),
}


@dataclass(frozen=True)
class Plan:
    """What a run was meant to be.

    Attributes:
        epochs: Passes over the data; None where unknown.
        steps: Optimizer steps of the whole schedule; None where unknown.
        settings: What else is said.
    """

    epochs: float | None
    steps: float | None
    settings: Settings


def plan(arguments: Mapping[str, Any]) -> Plan:
    """Return what the arguments of transformers, Lightning or somebody's own script plan."""
    known = dict(arguments)
    for name, strategies in _STRATEGIES.items():
        interval = number(known.get(name))
        said = next((str(known[s]) for s in strategies if s in known), "steps")
        # Below 1 it is a share of the steps of the whole run.
        if said.rpartition(".")[2].lower() != "steps" or interval is None or interval < 1:
            known.pop(name, None)
    document = {"args": known}
    steps = number(known.get("max_steps"))
    planned = steps if steps is not None and 0 < steps < _NO_LIMIT else None
    return Plan(planned_epochs_in(document), planned, settings_in(document))
