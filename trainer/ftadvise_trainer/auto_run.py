"""What `--auto` does to one run: finds its past, settles its settings, and remembers both.

The settings are settled once, when a run begins, and lie in `auto.json` beside its checkpoints: a
run that is gone on with keeps them, whatever has been learned since.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ftadvise
from ftadvise import history
from ftadvise.errors import FtadviseError
from ftadvise.history import Prediction, facts_in, facts_near
from ftadvise.text import clean
from ftadvise_trainer.auto import Choice, Past, choose
from ftadvise_trainer.checkpoints import listed
from ftadvise_trainer.config_keys import AUTO_SCHEDULE
from ftadvise_trainer.durable import write_atomically
from ftadvise_trainer.next_run import finished_logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftadvise_trainer.config import Config

SCHEMA = "ftadvise.auto/1"
FILE = "auto.json"
_CADENCE = ("eval_strategy", "eval_steps", "save_strategy", "save_steps")
_AGAINST_AUTO = (
    "lr_scheduler_type", "early_stopping_patience", "stop_when_eval_rises_while_train_falls",
)  # fmt: skip


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


@dataclass(frozen=True)
class Settled:
    """A config with what was chosen in it.

    Attributes:
        config: The settings to train with.
        lines: What to tell the person who watches.
        prediction: What is foretold of the run; None where nothing is.
    """

    config: Config
    lines: tuple[str, ...]
    prediction: Prediction | None


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
    """
    folder = config.output_dir
    said: tuple[str, ...] = ()
    first = os.environ.get("RANK", "0") == "0"
    begun = resume and bool(listed(folder))
    choice = _recorded(folder, begun) if begun or not first else None
    if choice is None:
        facts = facts_in(dict(header))
        found, said = past_runs(auto, facts)
        choice = choose(facts, steps_per_epoch, found)
        if first:
            _record(folder, choice)
    return merged(config, choice, override=auto.override, said=said)


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


def merged(
    config: Config, choice: Choice, *, override: bool, said: tuple[str, ...] = ()
) -> Settled:
    """Put what was chosen where nobody has written anything, or everywhere with `override`."""
    written = frozenset() if override else config.written or frozenset()
    taken = dict(choice.settings)
    if set(_CADENCE) & written:
        taken = {key: value for key, value in taken.items() if key not in _CADENCE}
    against = [key for key in _AGAINST_AUTO if key in written]
    if taken.get("lr_scheduler_type") == AUTO_SCHEDULE and against:
        # The most epochs that an open run may take are no advice for one that is not open.
        del taken["lr_scheduler_type"], taken["num_train_epochs"]
        said += (f"the config sets {against[0]}, so the schedule and its length stay as they are",)
    kept = [key for key in taken if key in written]
    said += tuple(
        f"the config sets {key} {getattr(config.training, key)}, not {taken[key]}"
        for key in kept
        if getattr(config.training, key) != taken[key]
    )
    taken = {key: value for key, value in taken.items() if key not in kept}
    sources = {key: source for key, source in config.sources.items() if key not in taken}
    foretold = choice.prediction
    if foretold is not None and foretold.epochs != taken.get("num_train_epochs"):
        foretold = None
    return Settled(
        replace(config, training=replace(config.training, **taken), sources=sources),
        (*choice.lines, *said, *_listed(taken)),
        foretold,
    )


def _listed(taken: Mapping[str, Any]) -> tuple[str, ...]:
    if not taken:
        return ("nothing is left to choose: the config sets it all",)
    return (", ".join(f"{key} {value}" for key, value in taken.items()),)


def _record(folder: Path, choice: Choice) -> None:
    body = {"schema": SCHEMA, **asdict(choice)}
    write_atomically(folder / FILE, (json.dumps(body, indent=1) + "\n").encode())


def _recorded(folder: Path, begun: bool) -> Choice | None:
    """Return what was chosen for a run; None where that cannot be read."""
    try:
        body = json.loads((folder / FILE).read_text(encoding="utf-8"))
        foretold = body["prediction"]
        return Choice(
            dict(body["settings"]),
            dict(body["why"]),
            (*(["as it was when this run began"] if begun else []), *map(clean, body["lines"])),
            Prediction(**foretold) if foretold else None,
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
