"""`ftadvise train --dry-run`: what a run would take, before it takes it."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.numbers import count
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ftadvise_trainer.config import Config
    from ftadvise_trainer.speed.memory import Memory


@dataclass(frozen=True)
class Steps:
    """How long a run is.

    Attributes:
        examples: Train examples.
        batch: Examples in an optimizer step, on all devices together.
        per_epoch: Optimizer steps in an epoch.
        epochs: Epochs, of which the last may be a part.
        total: Optimizer steps in the run, if nothing stops it.
        evaluations: Evaluations in the run.
    """

    examples: int
    batch: int
    per_epoch: int
    epochs: float
    total: int
    evaluations: int


@dataclass(frozen=True)
class DryRun:
    """What a run would take, and what is there for it.

    Attributes:
        recipe: Which settings were left out and come from the model's family, line by line.
        data: What became of the data, line by line.
        steps: How long it is.
        tokens: Trained tokens in an epoch.
        memory: Memory that a step needs.
        memory_free: What is free of it, in bytes.
        memory_where: Which memory that is, in words.
        checkpoint: Bytes of one checkpoint.
        copies: Checkpoints that stand on the disk at the same time.
        disk_free: Bytes that are free there.
        output_dir: Where that is.
        precision: The precision in words.
        example: One example with what is trained in marks.
        fused: Whether the loss is computed in pieces, which the memory counts on.
        processes: How many would train together.
        spread: How the model is spread over them, in words.
    """

    recipe: tuple[str, ...]
    data: tuple[str, ...]
    steps: Steps
    tokens: int
    memory: Memory
    memory_free: int
    memory_where: str
    checkpoint: int
    copies: int
    disk_free: int
    output_dir: str
    precision: str
    example: str
    fused: bool = False
    processes: int = 1
    spread: str = ""

    @property
    def fits_on_disk(self) -> bool:
        """Whether the checkpoints find room."""
        return self.checkpoint * self.copies <= self.disk_free


def steps_of(config: Config, examples: int, train_batch: int, processes: int = 1) -> Steps:
    """Return the length of a run, counted as `transformers.Trainer` counts it.

    Args:
        config: The settings.
        examples: Train examples.
        train_batch: Examples in a forward pass of one process, unless `batch_size` is set.
        processes: How many of them.
    """
    training = config.training
    batch, accumulated = train_batch * processes, training.gradient_accumulation_steps
    if training.batch_size is not None:
        batch, accumulated = training.batch_size, 1
    per_epoch = max(math.ceil(math.ceil(examples / batch) / accumulated), 1)
    most = int(training.more.get("max_steps", -1))
    total = most if most > 0 else math.ceil(training.num_train_epochs * per_epoch)
    evaluations = {
        "no": 0,
        "epoch": math.ceil(total / per_epoch),
        "steps": math.ceil(total / (training.eval_steps or total)),  # there is one at the end
    }[training.eval_strategy] + bool(training.more.get("eval_on_start", False))
    return Steps(examples, batch * accumulated, per_epoch, total / per_epoch, total, evaluations)


def dry_run(
    config: Config, *, remote_code: str | None = None, nproc: int = 1, nnodes: int = 1
) -> DryRun:
    """Prepare the data, measure the model and look at what there is; nothing is written.

    Args:
        config: The settings.
        remote_code: As for `training.train`.
        nproc: Processes of the run on each host; this is one, and measures its own device.
        nnodes: Hosts of the run.

    Raises:
        TrainError: As the run itself would.
    """
    from ftadvise_trainer.arguments import precision, training_arguments
    from ftadvise_trainer.data.prepare import prepare
    from ftadvise_trainer.models import family_of, load_tokenizer
    from ftadvise_trainer.processes.spread import launched, spread_of, widened
    from ftadvise_trainer.saving.preflight import checkpoint_bytes
    from ftadvise_trainer.settings.recipes import lines, with_family_defaults
    from ftadvise_trainer.speed.layouts import expected
    from ftadvise_trainer.speed.memory import available, shape_of
    from ftadvise_trainer.speed.row_size import room_for

    family = family_of(config, remote_code=remote_code)
    config = with_family_defaults(config, family)
    arguments = training_arguments(config)
    tokenizer = load_tokenizer(config, family, remote_code=remote_code)
    prepared = prepare(config, tokenizer, family)
    shape = shape_of(config, family, remote_code=remote_code)
    several = nproc * nnodes > 1
    spread = spread_of(config, launched(nproc, nnodes)) if several else spread_of(config)
    decided = precision(config, cut=spread.cut)
    row = expected(config, arguments, shape, prepared.train.lengths, _recomputes(config), spread)
    parts = spread.parts if spread.cut else spread.processes
    room = room_for(config, shape, arguments.device, row.fused, parts, spread.cut)
    memory = room.needs(row.tokens, checkpointing=row.checkpointing)
    where, free = available(bool(arguments.use_cpu))
    wide = widened(config, spread.cut, decided.autocast)
    size = checkpoint_bytes(
        config, shape.parameters, shape.trainable, cut=spread.cut, widened=wide
    )
    batch = int(arguments.train_batch_size)
    return DryRun(
        recipe=tuple(lines(config)),
        data=(*prepared.report.lines(), *row.lines),
        steps=steps_of(config, len(prepared.train), batch, spread.processes),
        tokens=int(prepared.train.trained_tokens),
        memory=memory,
        memory_free=free,
        memory_where=where,
        checkpoint=size,
        # The best k, the newest, and the next while it is written; `final` comes after that, and
        # has no state of the optimizer.
        copies=config.training.save_total_limit + 2,
        disk_free=_disk_free(config.output_dir),
        output_dir=str(config.output_dir),
        precision=decided.note,
        example=prepared.report.rendered_example(),
        fused=row.fused,
        processes=spread.processes,
        spread=spread.note,
    )


def _recomputes(config: Config) -> bool | None:
    """Return whether the settings ask for activation checkpointing; None where they say nothing."""
    names = ("activation_checkpointing", "gradient_checkpointing")
    said = [config.training.more[key] for key in names if key in config.training.more]
    return any(said) if said else None


def _disk_free(folder: Path) -> int:
    """Return the bytes that are free where `folder` is, or would be made."""
    here = folder.absolute()
    while not here.exists():
        here = here.parent
    return shutil.disk_usage(here).free


def report(found: DryRun) -> str:
    """Return a dry run as text for people."""
    rows = [(label, text) for label, texts in _rows(found) for text in texts]
    width = max(len(label) for label, _ in rows)
    lines: list[str] = []
    shown = ""
    for label, text in rows:
        lines.append(f"{label if label != shown else '':<{width}}  {text}")
        shown = label
    return "\n".join([*lines, "", "example, what is trained in marks:", "", found.example])


def _rows(found: DryRun) -> Iterator[tuple[str, list[str]]]:
    steps = found.steps
    examples = count(steps.examples, "example")
    an_epoch = f"{steps.per_epoch} in an epoch: {examples}, {steps.batch} in a step"
    evaluations = count(steps.evaluations, "evaluation")
    the_run = f"{steps.total} in {steps.epochs:.4g} epochs, with {evaluations}"
    trained = math.ceil(found.tokens * steps.epochs)
    yield "left out", list(found.recipe)
    yield "data", [clean(line, 500) for line in found.data]
    yield "steps", [an_epoch, the_run]
    yield "tokens", [f"{found.tokens:,} trained in an epoch, {trained:,} in the run"]
    if found.spread:
        yield "processes", [f"{found.processes}: {found.spread}"]
    yield "memory", _memory_lines(found)
    yield "disk", _disk_lines(found)
    yield "precision", [found.precision]


def _memory_lines(found: DryRun) -> list[str]:
    from ftadvise_trainer.speed.memory import formula

    memory = found.memory
    parts = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "Adam": memory.adam,
        "bf16 copies": memory.autocast_copies,
        "activations": memory.activations,
    }
    each = f" by each of {found.processes} processes" if found.processes > 1 else ""
    needed = f"about {size(memory.total)} {found.memory_where} needed{each}"
    free = f"{size(found.memory_free)} free{_verdict(memory.total <= found.memory_free)}"
    listed = ", ".join(f"{name} {size(part)}" for name, part in parts.items() if part)
    return [f"{needed}, {free}", listed, *formula(found.fused)]


def _disk_lines(found: DryRun) -> list[str]:
    needed = size(found.checkpoint * found.copies)
    free = f"{size(found.disk_free)} free{_verdict(found.fits_on_disk)}"
    what = "the best, the newest, and the next while it is written"
    return [
        f"{needed} needed in {clean(found.output_dir, 300)}, {free}",
        f"{found.copies} times {size(found.checkpoint)}: {what}",
    ]


def _verdict(fits: bool) -> str:
    return "" if fits else ": NOT ENOUGH"


def size(number: float) -> str:
    """Return bytes as people read them, as in `1.5 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.4g} TB"
