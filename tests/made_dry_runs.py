"""A dry run made by hand, for tests of what is said of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ftadvise_trainer.dryrun import DryRun, Steps
from ftadvise_trainer.speed.memory import Memory


def made_dry_run(**changes: Any) -> DryRun:
    """Return a dry run in which everything fits, with `changes` where they are given."""
    made = DryRun(
        recipe=(),
        data=("train: 9 of 9 examples",),
        steps=Steps(9, 4, 3, 2.0, 6, 1),
        tokens=50,
        memory=Memory(1, 2, 3, 0, 5),
        memory_free=100,
        memory_where="of main memory",
        checkpoint=10,
        copies=4,
        disk_free=100,
        output_dir="out",
        precision="float32",
        example="a ⟦b⟧",
    )
    return replace(made, **changes)
