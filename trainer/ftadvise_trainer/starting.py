"""Where a run begins: at its newest valid checkpoint, or at the beginning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.config import to_dict
from ftadvise_trainer.data import day as days
from ftadvise_trainer.evaluation import needs_eval
from ftadvise_trainer.processes.rank import first_process, world_size
from ftadvise_trainer.saving import checkpoints
from ftadvise_trainer.settings import changes

if TYPE_CHECKING:
    from pathlib import Path

    from ftadvise_trainer.config import Config
    from ftadvise_trainer.data.prepare import Prepared


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Attributes:
        checkpoint: The checkpoint to go on from; None at the beginning.
        lines: What to tell the person who watches, a line each.
        eval_first: Whether the evaluation of that step was broken off and has to be made first.
    """

    checkpoint: Path | None = None
    lines: list[str] = field(default_factory=list[str])
    eval_first: bool = False


def settings_of(config: Config, prepared: Prepared) -> dict[str, Any]:
    """Return what a resume compares: the settings, the data and the number of processes."""
    day = prepared.report.day
    return {
        **to_dict(config),
        "data_fingerprint": prepared.train.fingerprint,
        "world_size": world_size(),
        **({days.KEY: day} if day else {}),
    }


def choose_start(
    output: Path, settings: dict[str, Any], resume: bool, allow_changed: bool
) -> Start:
    """Choose where to begin, and say what was passed over and what has changed.

    Args:
        output: The run's folder.
        settings: As `settings_of` gives them.
        resume: Whether to go on from a checkpoint at all.
        allow_changed: Whether to take over changes that a resume otherwise refuses.

    Raises:
        TrainError: FT506, settings have changed that would bend the run.
    """
    first = first_process()
    if not resume:
        return Start()
    cleared = checkpoints.clear_unfinished(output) if first else []
    newest, skipped = checkpoints.newest_valid(output)
    lines = [
        f"passed over {clean(s.path.name)}: {'; '.join(map(clean, s.reasons[:3]))}"
        for s in [*cleared, *skipped]
    ]
    manifest = checkpoints.read_manifest(newest) if newest else None
    if newest is None or manifest is None:
        return Start(lines=lines)
    found = changes.diff(manifest.settings, settings)
    changes.check(found, [c.key for c in found] if allow_changed else ())
    lines += [f"changed since: {change}" for change in found]
    lines.append(f"going on from {newest.name} (epoch {manifest.epoch})")
    return Start(newest, lines, eval_first=_evaluation_is_due(newest))


def _evaluation_is_due(checkpoint: Path) -> bool:
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    return needs_eval(state.log_history)
