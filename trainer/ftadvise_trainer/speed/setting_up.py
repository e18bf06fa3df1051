"""What makes a run fast: attention over packed rows, the fused loss, rows as long as fit.

Nothing of it changes what is trained: examples, steps, schedule and losses stay those of a plain
run, to rounding. Where a part cannot be done, the run goes on without it and says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from torch import distributed

from ftadvise_trainer.data.batches import lengths_of
from ftadvise_trainer.dryrun import steps_of
from ftadvise_trainer.processes.rank import world_size
from ftadvise_trainer.processes.spread import parts_of
from ftadvise_trainer.speed import layouts, row_size
from ftadvise_trainer.speed.speed_up import speed_up

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from ftadvise_trainer.config import Config
    from ftadvise_trainer.data.packing import Layout

_T = TypeVar("_T")

_CHECKPOINTING = ("gradient_checkpointing", "activation_checkpointing")


@dataclass(frozen=True)
class Setup:
    """How a run goes through its examples.

    Attributes:
        layout: How they are laid out; None leaves it to transformers.
        head: The output head that computes the loss in pieces; None where there is none.
        lines: What to tell the person who watches, a line each.
    """

    layout: Layout | None = None
    head: Any = None
    lines: tuple[str, ...] = ()


def set_up(
    config: Config, arguments: TrainingArguments, model: Any, pad_id: int, dataset: Any
) -> Setup:
    """Switch on what can be, and choose the rows; the same on every process.

    Args:
        config: The settings.
        arguments: Those made of them; activation checkpointing is switched on where no row would
            fit into memory without, unless the YAML says something on it.
        model: As it is trained, with its adapter; changed in place.
        pad_id: Token id to pad with.
        dataset: Train examples: `input_ids` and `labels` by their place.

    Raises:
        TrainError: FT501, `training.packing` is true and cannot be done.
    """
    reason = layouts.why_not(config, arguments)
    wanted = config if reason is None else _unpacked(config)
    steps = steps_of(
        config, len(dataset), int(arguments.train_batch_size), int(arguments.world_size)
    )
    lengths = lengths_of(dataset)
    speed = speed_up(
        model,
        wanted,
        device=arguments.device,
        steps=steps.total,
        step_tokens=sum(lengths) / steps.per_epoch / world_size(),
    )
    lines = list(speed.lines)
    if reason is not None:
        lines[0] = f"packing: no, {reason}"
    if not speed.packed:
        layouts.refuse_unless_packed(config, lines[0])
        return Setup(layouts.layout_of(config, pad_id, None), speed.head, tuple(lines))
    tokens, more = _rows(config, arguments, model, speed.fused, max(lengths))
    on_gpu = arguments.device.type == "cuda"
    layout = layouts.layout_of(config, pad_id, tokens, on_gpu=on_gpu)
    if layout is not None:
        lines += layouts.lines(config, layout, lengths)
    return Setup(layout, speed.head, (*lines, *more))


def same_way(config: Config, model: Any, device: Any, layout: Layout | None) -> Any:
    """Switch on for another model what `set_up` has for the one that is trained.

    Args:
        config: The settings.
        model: Of the same kind; changed in place.
        device: Where it is evaluated.
        layout: That of the run.

    Returns:
        Its head that computes the loss in pieces, or None.
    """
    packs = layout is not None and layout.row_tokens is not None
    wanted = config if packs else _unpacked(config)
    return speed_up(model, wanted, device=device, steps=0).head


def _unpacked(config: Config) -> Config:
    return replace(config, training=replace(config.training, packing=False))


def _rows(
    config: Config, arguments: TrainingArguments, model: Any, fused: bool, longest: int
) -> tuple[int, list[str]]:
    """Return the tokens of a row, and what there is to say on it."""
    args: Any = arguments
    cut = bool(args.fsdp)
    how: dict[str, Any] = {
        "fused": fused,
        "longest": longest,
        # With hsdp each host has the whole model, whatever their number.
        "processes": parts_of(args, world_size()) if cut else world_size(),
        "sharded": cut,
    }
    lines: list[str] = []
    checkpointing = bool(args.gradient_checkpointing)
    if not any(key in config.training.more for key in _CHECKPOINTING):
        why = _agreed(row_size.suggest_checkpointing(config, model, args.device, **how))
        if why is not None:
            args.gradient_checkpointing = checkpointing = True
            lines.append(why)
    found = row_size.choose(config, model, args.device, checkpointing=checkpointing, **how)
    return min(_from_all(found)), lines


def _agreed(reason: str | None) -> str | None:
    """Return a reason that any process has: another may have taken some of its device's memory."""
    return next((one for one in _from_all(reason) if one is not None), None)


def _from_all(own: _T) -> list[_T]:
    if not (distributed.is_available() and distributed.is_initialized()):
        return [own]
    every: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(every, own)
    return every
