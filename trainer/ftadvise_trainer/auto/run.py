"""What `--auto` does to one run: finds its past, settles its settings, and remembers both.

The settings are settled once, when a run begins, and lie in `auto.json` beside its checkpoints: a
run that is gone on with keeps them, whatever has been learned since.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ftadvise
from ftadvise import history
from ftadvise.errors import FtadviseError
from ftadvise.history import facts_in, facts_near
from ftadvise.text import clean
from ftadvise_trainer.auto.choice import Past, choose
from ftadvise_trainer.auto.merge import Settled, merged
from ftadvise_trainer.auto.next_run import FILE, finished_logs
from ftadvise_trainer.auto.record import begun, record, recorded
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes.rank import first_process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftadvise_trainer.config import Config


@dataclass(frozen=True)
class Auto:
    """How `--auto` was asked for.

    Attributes:
        logs: Logs of past runs that were named with `--from`, the last of them first in mind.
        override: Whether to set what the YAML sets, too.
        output: The folder of all runs; that of this one may lie below it.
    """

    logs: tuple[str, ...] = ()
    override: bool = False
    output: Path = Path()


def settle(
    auto: Auto, config: Config, header: Mapping[str, Any], steps_per_epoch: int, *, resume: bool
) -> Settled:
    """Return the settings of a run that begins, or those that it began with.

    The first process chooses and writes down what; the others, which come after it, read that.

    Args:
        auto: How it was asked for.
        config: The settings, its output folder that of this run.
        header: What `training_metrics.json` will say of the run beside its curves.
        steps_per_epoch: Optimizer steps in an epoch.
        resume: Whether a run that has begun is gone on with.

    Raises:
        LogError: A log that was named with `--from` cannot be read.
        TrainError: FT501, the settings cannot be had or do not go together.
    """
    folder = config.output_dir
    if not first_process():
        choice = recorded(folder)
        if choice is None:
            raise TrainError(
                f"{clean(folder / FILE)}: the first process has left no settings there",
                hint="All processes of a run need the same training.output_dir.",
            )
        return merged(config, choice, override=auto.override)
    choice = begun(folder) if resume else None
    if choice is not None:
        record(folder, choice)
        known = replace(choice, lines=("as it was when this run began", *choice.lines))
        return merged(config, known, override=auto.override)
    facts = facts_in(dict(header))
    found, said = past_runs(auto, facts)
    choice = choose(facts, steps_per_epoch, found)
    settled = merged(config, choice, override=auto.override, said=said)
    record(folder, choice)
    return settled


def past_runs(auto: Auto, facts: history.Facts) -> tuple[list[Past], tuple[str, ...]]:
    """Return the earlier runs, those that say most first, and what could not be looked at."""
    named = [Past(ftadvise.read(log), facts_near(log), log) for log in reversed(auto.logs)]
    said: list[str] = []
    own: list[Past] = []
    for log in reversed(finished_logs(auto.output)):
        try:
            own.append(Past(ftadvise.read(log), facts_near(log), str(log)))
        except FtadviseError as error:
            said.append(f"left out: {clean(error, 300)}")
    remembered: list[Past] = []
    try:
        like = history.comparable(facts) if history.enabled() else ()
        # A run of which nothing is known could be of anything.
        remembered = [
            Past(one.run, one.entry.facts, f"run {one.entry.id} of the history ({one.why})")
            for one in like
            if one.same or one.entry.facts.data is not None
        ]
    except FtadviseError as error:
        said.append(f"without the history: {clean(error, 300)}")
    return _once([*named, *own, *remembered]), tuple(said)


def _once(found: list[Past]) -> list[Past]:
    """Leave out what was found twice, such as a run of the folder that is in the history."""
    kept: dict[bytes, Past] = {}
    for one in found:
        key = one.run.train.loss.tobytes() + one.run.eval.loss.tobytes()
        kept.setdefault(key, one)
    return list(kept.values())
