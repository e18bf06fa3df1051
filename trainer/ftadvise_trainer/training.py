"""`train`: from a config to the best model in `final`. Each step is a room of its own."""

from __future__ import annotations

import platform
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from transformers.utils import logging

import ftadvise
from ftadvise.text import clean
from ftadvise_trainer import models, workers
from ftadvise_trainer.arguments import precision, training_arguments
from ftadvise_trainer.auto.merge import Settled
from ftadvise_trainer.auto.next_run import METRICS, next_folder
from ftadvise_trainer.auto.run import Auto, settle
from ftadvise_trainer.bf16.optimizer import optimizer_for
from ftadvise_trainer.callbacks.advisor import AdvisorCallback
from ftadvise_trainer.callbacks.anneal import AnnealOnOnset
from ftadvise_trainer.callbacks.best_k import BestK
from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.callbacks.metrics import MetricsWriter
from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.callbacks.preemption import Preemption
from ftadvise_trainer.callbacks.progress import Progress
from ftadvise_trainer.callbacks.resume import Cadence
from ftadvise_trainer.callbacks.throughput import Throughput
from ftadvise_trainer.config import config_hash, to_dict
from ftadvise_trainer.data import day as days
from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.data.prepare import Prepared, prepare
from ftadvise_trainer.dryrun import steps_of
from ftadvise_trainer.ending import closed, finish
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.job import Job, Outcome
from ftadvise_trainer.processes.rank import first_process
from ftadvise_trainer.processes.resharding import for_resume
from ftadvise_trainer.processes.spread import spread_of, widened
from ftadvise_trainer.saving import checkpoints
from ftadvise_trainer.saving.lock import FolderLock
from ftadvise_trainer.saving.preflight import (
    check_disk,
    checkpoint_bytes,
    disk_errors,
    disk_trouble,
)
from ftadvise_trainer.settings.keys import AUTO_SCHEDULE
from ftadvise_trainer.settings.recipes import with_family_defaults
from ftadvise_trainer.speed.setting_up import set_up
from ftadvise_trainer.starting import choose_start, settings_of
from ftadvise_trainer.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import TrainerCallback

    from ftadvise_trainer.config import Config


def train(
    config: Config,
    *,
    resume: bool = True,
    allow_changed: bool = False,
    stream: TextIO,
    callbacks: Sequence[TrainerCallback] = (),
    remote_code: str | None = None,
    auto: Auto | None = None,
) -> Outcome:
    """Fine-tune a model as `config` says, and put the best one into `output_dir/final`.

    Args:
        config: The settings.
        resume: Whether to go on from the newest valid checkpoint in the output folder.
        allow_changed: Whether to go on even when settings have changed that a resume refuses.
        stream: Where to say what goes on.
        callbacks: More callbacks for the trainer.
        remote_code: `NAME@REVISION` of the model whose own code may run; None lets none run.
        auto: How to choose what the config leaves open from past runs; None chooses nothing.

    Raises:
        TrainError: FT501 to FT510, as its docstring says.
        LogError: A log that `auto` names cannot be read.
    """
    every = Path(config.output_dir)
    logging.disable_progress_bar()  # one bar is enough, and it is `Progress`
    with ExitStack() as stack:
        stack.enter_context(disk_errors(every))
        _check_folder(every)
        stack.enter_context(FolderLock(every))  # `final` in it is changed by later runs, too
        output = next_folder(every) if auto else every
        if output != every:
            stack.enter_context(FolderLock(output))
            config = replace(config, training=replace(config.training, output_dir=str(output)))
        family = models.family_of(config, remote_code=remote_code)
        config = with_family_defaults(config, family)
        tokenizer = load_tokenizer(config, family, remote_code=remote_code)
        day = days.of_run(output) if resume else None
        if day is None and auto:  # so that runs of one folder have the same data
            day = days.of_metrics(every / METRICS)
        prepared = prepare(config, tokenizer, family, day=day)
        settled = _settled(replace(auto, output=every), config, prepared, resume) if auto else None
        config = _averaging(settled.config if settled else config, auto is not None)
        settings = {
            **settings_of(config, prepared),
            "eval_fingerprint": prepared.eval.fingerprint,
        }
        arguments = training_arguments(config)
        with arguments.main_process_first(local=False, desc="choosing where to begin"):
            start = choose_start(output, settings, resume, allow_changed)
        if start.checkpoint is not None:  # one before the first step has been made
            arguments.eval_on_start = start.eval_first
        spread = spread_of(config)
        autocast = precision(config).autocast
        wide = widened(config, spread.cut, autocast)
        said = models.notes(config, tokenizer, family, widened=wide)
        said.append(precision(config, cut=spread.cut).note)
        said += [spread.note] if spread.note else []
        chosen = [f"auto: {line}" for line in settled.lines] if settled else []
        _say(stream, [*prepared.report.lines(), *said, *chosen, *start.lines])
        model = models.load_model(config, tokenizer, family, remote_code=remote_code)
        _check_room(config, model, spread.cut, wide)
        setup = set_up(config, arguments, model, tokenizer.pad_token_id, prepared.train)
        _say(stream, setup.lines)
        job = Job(
            config, arguments, model, tokenizer, prepared, settings, start, remote_code, setup
        )
        advice: list[str] = []  # to be said last, when it is clear what this run was
        advisor = AdvisorCallback(stop=not _is_auto(config), say=advice.append) if auto else None
        outcome = _run(job, stream, callbacks, advisor)
        if outcome.final is None or not first_process():
            return outcome
        final, lines = closed(output, every, settled.prediction if settled else None)
        _say(stream, [*outcome.lines, *lines, *advice])
        return replace(outcome, final=final)


def _check_folder(folder: Path) -> None:
    """Make the output folder, or say why there can be none; what the disk says goes through."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if disk_trouble(error) is not None:
            raise
        raise TrainError(
            f"training.output_dir: {clean(folder)}: {error.strerror}",
            hint="Name a folder, or one that can be made.",
        ) from None


def _settled(auto: Auto, config: Config, prepared: Prepared, resume: bool) -> Settled:
    arguments = training_arguments(config)
    steps = steps_of(
        config, len(prepared.train), int(arguments.train_batch_size), int(arguments.world_size)
    )
    with arguments.main_process_first(local=False, desc="choosing settings"):
        header = _header(config, prepared)
        return settle(auto, config, header, steps.per_epoch, resume=resume)


def _averaging(config: Config, auto: bool) -> Config:
    """Decide whether the best checkpoints are averaged where nobody has said so."""
    if config.training.average_checkpoints is not None:
        return config
    # A mean of the best is no answer to somebody who wants the last.
    wanted = auto and config.training.load_best_model_at_end
    return replace(config, training=replace(config.training, average_checkpoints=wanted))


def _is_auto(config: Config) -> bool:
    return config.training.lr_scheduler_type == AUTO_SCHEDULE


def _say(stream: TextIO, lines: Sequence[str]) -> None:
    if first_process():
        stream.writelines(f"{line}\n" for line in lines)
        stream.flush()


def _run(
    job: Job,
    stream: TextIO,
    more: Sequence[TrainerCallback],
    advisor: AdvisorCallback | None = None,
) -> Outcome:
    config, start, settings = job.config, job.start, job.settings
    keep = BestK(
        config.training.save_total_limit, config_hash=config_hash(config), settings=settings
    )
    preemption, early = Preemption(), _early_stop(config)
    guard = NonFiniteGuard()
    anneal = AnnealOnOnset() if _is_auto(config) else None
    possible = (guard, anneal, advisor, early, preemption)
    stoppers: list[Any] = [one for one in possible if one is not None]
    metrics = Path(config.output_dir) / METRICS
    header = _header(config, job.prepared)
    throughput = Throughput(fused=job.setup.head is not None)
    speed = throughput.summary
    callbacks: list[TrainerCallback] = [
        Cadence(),
        *stoppers,
        keep,
        throughput,
        MetricsWriter(metrics, header, stoppers, keep.checkpoints, speed=speed),
        Progress(stream, metrics, stoppers, keep.checkpoints, speed=speed),
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
        auto_schedule=_is_auto(config),
        optimizer_cls_and_kwargs=optimizer_for(config, job.model, job.arguments),
        layout=job.setup.layout,
        head=job.setup.head,
    )
    trainer.say = lambda line: _say(stream, [line])
    with preemption:
        try:
            begin = for_resume(trainer, start.checkpoint)
            trainer.train(resume_from_checkpoint=str(begin or "") or None)
        except RuntimeError as error:
            # A worker that had only just been forked dies of a signal to all processes of the run.
            # The step it worked for is lost; what was saved before is not.
            if not (preemption.interrupted() and workers.died(error)):
                raise
            _say(stream, [f"interrupted without a new checkpoint: {clean(error)}"])
    stopped = next((s.reason for s in stoppers if s.reason), None)
    if preemption.exit_code is not None:
        return Outcome(None, None, stopped, preemption.exit_code)
    return finish(job, trainer, keep, stopped)


def _check_room(config: Config, model: Any, cut: bool, widened: bool) -> None:
    """Refuse to start when the best k, the newest and the next checkpoint do not fit on the disk."""
    output = Path(config.output_dir)
    every = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    size = checkpoint_bytes(config, every, trained, cut=cut, widened=widened)
    there = len(checkpoints.listed(output))
    if first_process():
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
