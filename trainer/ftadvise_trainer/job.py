"""What a run works with, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import TrainingArguments

    from ftadvise_trainer.config import Config
    from ftadvise_trainer.data.prepare import Prepared
    from ftadvise_trainer.speed.setting_up import Setup
    from ftadvise_trainer.starting import Start


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        final: Folder of the best model; None when the run was preempted.
        best: Eval loss, epoch and step of the best evaluation; None without one.
        stopped: Why the run ended before its last epoch; None when it did not.
        exit_code: 0, or 143 and 130 after SIGTERM and SIGINT.
        lines: What to tell the person who watches.
    """

    final: Path | None
    best: dict[str, Any] | None
    stopped: dict[str, Any] | None
    exit_code: int = 0
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """What a run works with."""

    config: Config
    arguments: TrainingArguments
    model: Any
    tokenizer: Any
    prepared: Prepared
    settings: dict[str, Any]
    start: Start
    remote_code: str | None
    setup: Setup
