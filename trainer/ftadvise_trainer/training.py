"""`train`: from a config to the best model in `final`. Each step is a room of its own."""

from __future__ import annotations

import os
import platform
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from transformers.utils import logging

import ftadvise
from ftadvise.text import clean
from ftadvise_trainer import checkpoints, models, workers
from ftadvise_trainer.arguments import precision, training_arguments
from ftadvise_trainer.callbacks.best_k import BestK
from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.callbacks.metrics import MetricsWriter
from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.callbacks.preemption import Preemption
from ftadvise_trainer.callbacks.progress import Progress
from ftadvise_trainer.callbacks.resume import Cadence
from ftadvise_trainer.config import config_hash, to_dict
from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.data.prepare import Prepared, prepare
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.final import publish
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.lock import FolderLock
from ftadvise_trainer.preflight import check_disk, disk_errors, estimate_checkpoint_bytes
from ftadvise_trainer.recipes import with_family_defaults
from ftadvise_trainer.scoring import eval_loss_of, merged_adapter
from ftadvise_trainer.starting import Start, choose_start, settings_of
from ftadvise_trainer.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import TrainerCallback, TrainingArguments

    from ftadvise_trainer.config import Config

METRICS = "training_metrics.json"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        final: Folder of the best model; None when the run was preempted.
        best: Eval loss, epoch and step of the best evaluation; None without one.
        stopped: Why the run ended before its last epoch; None when it did not.
        exit_code: 0, or 143 and 130 after SIGTERM and SIGINT.
    """

    final: Path | None
    best: dict[str, Any] | None
    stopped: dict[str, Any] | None
    exit_code: int = 0


@dataclass(frozen=True)
class _Job:
    """What a run works with."""

    config: Config
    arguments: TrainingArguments
    model: Any
    tokenizer: Any
    prepared: Prepared
    settings: dict[str, Any]
    start: Start
    remote_code: str | None


def train(
    config: Config,
    *,
    resume: bool = True,
    allow_changed: bool = False,
    stream: TextIO,
    callbacks: Sequence[TrainerCallback] = (),
    remote_code: str | None = None,
) -> Outcome:
    """Fine-tune a model as `config` says, and put the best one into `output_dir/final`.

    Args:
        config: The settings.
        resume: Whether to go on from the newest valid checkpoint in the output folder.
        allow_changed: Whether to go on even when settings have changed that a resume refuses.
        stream: Where to say what goes on.
        callbacks: More callbacks for the trainer.
        remote_code: `NAME@REVISION` of the model whose own code may run; None lets none run.

    Raises:
        TrainError: FT501 to FT510, as its docstring says.
    """
    output = Path(config.output_dir)
    logging.disable_progress_bar()  # one bar is enough, and it is `Progress`
    with ExitStack() as stack:
        stack.enter_context(disk_errors(output))
        stack.enter_context(FolderLock(output))
        family = models.family_of(config, remote_code=remote_code)
        config = with_family_defaults(config, family)
        tokenizer = load_tokenizer(config, family, remote_code=remote_code)
        prepared = prepare(config, tokenizer, family)
        settings = settings_of(config, prepared)
        arguments = training_arguments(config)
        with arguments.main_process_first(local=False, desc="choosing where to begin"):
            start = choose_start(output, settings, resume, allow_changed)
        arguments.eval_on_start = arguments.eval_on_start or start.eval_first
        said = [*models.notes(config, tokenizer, family), precision(config).note]
        _say(stream, [*prepared.report.lines(), *said, *start.lines])
        model = models.load_model(config, tokenizer, family, remote_code=remote_code)
        _check_room(config, model)
        job = _Job(config, arguments, model, tokenizer, prepared, settings, start, remote_code)
        return _run(job, stream, callbacks)


def _say(stream: TextIO, lines: Sequence[str]) -> None:
    if os.environ.get("RANK", "0") == "0":
        stream.writelines(f"{line}\n" for line in lines)
        stream.flush()


def _run(job: _Job, stream: TextIO, more: Sequence[TrainerCallback]) -> Outcome:
    config, start, settings = job.config, job.start, job.settings
    keep = BestK(
        config.training.save_total_limit, config_hash=config_hash(config), settings=settings
    )
    preemption, early = Preemption(), _early_stop(config)
    guard = NonFiniteGuard()
    stoppers: list[Any] = [s for s in (guard, early, preemption) if s is not None]
    metrics = Path(config.output_dir) / METRICS
    header = _header(config, job.prepared)
    callbacks: list[TrainerCallback] = [
        Cadence(),
        *stoppers,
        keep,
        MetricsWriter(metrics, header, stoppers, keep.checkpoints),
        Progress(stream, metrics, stoppers, keep.checkpoints),
        *more,
    ]
    trainer = FineTuner(
        model=job.model,
        args=job.arguments,
        train_dataset=job.prepared.train,
        eval_dataset=job.prepared.eval,
        data_collator=Collator(job.tokenizer.pad_token_id),
        processing_class=job.tokenizer,
        callbacks=callbacks,
        interrupted=preemption.interrupted,
    )
    with preemption:
        try:
            trainer.train(resume_from_checkpoint=str(start.checkpoint or "") or None)
        except RuntimeError as error:
            # A worker that had only just been forked dies of a signal to all processes of the run.
            # The step it worked for is lost; what was saved before is not.
            if not (preemption.interrupted() and workers.died(error)):
                raise
            _say(stream, [f"interrupted without a new checkpoint: {clean(error)}"])
    stopped = next((s.reason for s in stoppers if s.reason), None)
    if preemption.exit_code is not None:
        return Outcome(None, None, stopped, preemption.exit_code)
    return _finish(job, trainer, keep, stopped)


def _check_room(config: Config, model: Any) -> None:
    """Refuse to start when the best k, the newest and the next checkpoint do not fit on the disk."""
    output = Path(config.output_dir)
    every = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    size = estimate_checkpoint_bytes(
        every, trained, config.model.dtype, adapter=config.lora is not None
    )
    there = len(checkpoints.listed(output))
    if os.environ.get("RANK", "0") == "0":
        check_disk(output, size, max(1, config.training.save_total_limit + 2 - there))


def _early_stop(config: Config) -> EarlyStop | None:
    training = config.training
    rises = training.stop_when_eval_rises_while_train_falls
    if training.early_stopping_patience is None and rises is None:
        return None
    return EarlyStop(training.early_stopping_patience, training.early_stopping_threshold, rises)


def _header(config: Config, prepared: Prepared) -> dict[str, Any]:
    packages = ("torch", "transformers", "accelerate")
    return {
        "model": config.model.name_or_path or config.model.config,
        "data": {"fingerprint": prepared.train.fingerprint, **prepared.report.to_dict()},
        "config": to_dict(config),
        "config_hash": config_hash(config),
        "versions": {"python": platform.python_version()}
        | {p: version(p) for p in packages}
        | {"ftadvise": ftadvise.__version__},
    }


def _finish(job: _Job, trainer: FineTuner, keep: BestK, stopped: dict[str, Any] | None) -> Outcome:
    """Publish the best model; rank 0 does, and a single process also loads it again to score it."""
    config = job.config
    output = Path(config.output_dir)
    chosen = keep.best() if config.training.load_best_model_at_end else None
    chosen = chosen or checkpoints.newest_valid(output)[0]
    if chosen is None:
        raise TrainError(
            "The run has left no checkpoint to make the final model from",
            hint="Set training.save_strategy, or run for at least one epoch.",
            code="FT505",
        )
    manifest = checkpoints.read_manifest(chosen)
    best = (
        None
        if manifest is None
        else {"eval_loss": manifest.eval_loss, "epoch": manifest.epoch, "step": manifest.step}
    )
    final = output / "final"
    if trainer.is_world_process_zero():
        alone = int(os.environ.get("WORLD_SIZE", "1")) == 1

        def score(folder: Path) -> float:
            return eval_loss_of(
                folder, config, trainer, job.tokenizer, job.prepared, job.remote_code
            )

        merge = config.lora is not None and config.lora.merge
        finish = merged_adapter(config, job.remote_code) if merge else None
        final = publish(chosen, output, score if alone else None, finish=finish)
    return Outcome(final, best, stopped)
