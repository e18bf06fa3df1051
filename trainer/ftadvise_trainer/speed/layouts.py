"""How the examples of a run are laid out: packed where that gives the same losses, or why not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise_trainer.data.batches import order_of
from ftadvise_trainer.data.packing import Layout, pack, padding_share, width
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes.rank import world_size
from ftadvise_trainer.speed import row_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ftadvise_trainer.config import Config
    from ftadvise_trainer.processes.spread import Spread
    from ftadvise_trainer.speed.memory import Shape

GPU_MULTIPLE = 128
"""Rows on a GPU are multiples of it: few shapes to choose kernels for, and a small share of padding."""
_LOOKED_AT = 20_000
"""Examples at most, in whole steps, that the share of padding is counted over."""


@dataclass(frozen=True)
class Padding:
    """What one way of laying out makes of an epoch, or of its beginning.

    Attributes:
        rows: Forward passes where packed, else batches.
        share: Share of places that hold no token of an example.
    """

    rows: int
    share: float


def why_not(config: Config, arguments: Any) -> str | None:
    """Return why settings other than the model rule packing out, or None.

    Args:
        config: The settings.
        arguments: `TrainingArguments` made of them.
    """
    if config.training.packing is False:
        return "training.packing is false"
    if int(arguments.n_gpu) > 1:
        return (
            "one process has several GPUs, which split a batch by its rows; start it by torchrun"
        )
    if arguments.neftune_noise_alpha is not None:
        return "neftune_noise_alpha goes by the length of a row"
    return None


def layout_of(
    config: Config, pad_id: int, row_tokens: int | None, *, on_gpu: bool = False
) -> Layout | None:
    """Return how examples are laid out; None leaves it to transformers.

    Args:
        config: The settings.
        pad_id: Token id to pad with.
        row_tokens: Tokens of a packed row; None does not pack.
        on_gpu: Whether the model runs on one.
    """
    training = config.training
    if row_tokens is None and training.batch_size is None:
        return None
    return Layout(
        pad_id=pad_id,
        row_tokens=row_tokens,
        multiple=GPU_MULTIPLE if on_gpu else 1,
        batch_size=training.batch_size,
        examples=training.per_device_train_batch_size,
    )


def refuse_unless_packed(config: Config, reason: str) -> None:
    """Refuse a run whose YAML insists on packing that cannot be done.

    Raises:
        TrainError: FT501, with the reason.
    """
    if config.training.packing:
        raise TrainError(
            f"training.packing is true, but this run cannot be packed ({reason})",
            hint="Leave packing out: it is done where it can be.",
        )


@dataclass(frozen=True)
class Expected:
    """What a forward pass is expected to be before the model is there.

    Attributes:
        tokens: In the longest one, padding included.
        fused: Whether the loss is computed in pieces.
        checkpointing: Whether activations are computed again.
        lines: What to tell the person who watches.
    """

    tokens: int
    fused: bool
    checkpointing: bool = False
    lines: tuple[str, ...] = ()


def expected(
    config: Config,
    arguments: Any,
    shape: Shape,
    lengths: Sequence[int],
    checkpointing: bool | None,
    spread: Spread | None = None,
) -> Expected:
    """Return what a run's forward passes will be, if its model can do what most can.

    Args:
        config: The settings.
        arguments: `TrainingArguments` made of them.
        shape: Of the model.
        lengths: Tokens of each train example.
        checkpointing: Whether activations are computed again; None where memory decides.
        spread: Over how many processes; over this one alone when left out.
    """
    training, longest = config.training, max(lengths)
    ranks = spread.processes if spread is not None else 1
    cut = spread is not None and spread.cut
    fused = training.fused_loss is not False
    if why_not(config, arguments) is not None:
        tokens = training.per_device_train_batch_size * longest
        return Expected(tokens, fused, bool(checkpointing))
    parts = spread.parts if spread is not None and cut else ranks
    room = row_size.room_for(config, shape, arguments.device, fused, parts, cut)
    why = room.without_checkpointing(longest) if checkpointing is None else None
    again = bool(checkpointing) or why is not None
    tokens = training.row_tokens or row_size.rows_in(room, longest, checkpointing=again)
    layout = layout_of(config, 0, tokens, on_gpu=arguments.device.type == "cuda")
    examples = int(arguments.train_batch_size)
    if training.batch_size is not None:  # counted over all of them
        examples = math.ceil(training.batch_size / ranks)
    step = examples * sum(lengths) / len(lengths)
    said = lines(config, layout, lengths, ranks) if layout is not None else []
    said += [why] if why is not None else []
    return Expected(max(longest, min(tokens, math.ceil(step))), fused, again, tuple(said))


def lines(
    config: Config, layout: Layout, lengths: Sequence[int], processes: int | None = None
) -> list[str]:
    """Return what packing does to an epoch: rows, and padding with it and without; and advice."""
    per_device = config.training.per_device_train_batch_size
    # Without `batch_size` each process packs what transformers gives it.
    size, ranks = per_device, 1
    if layout.batch_size is not None:
        size, ranks = layout.batch_size, processes or world_size()
    steps = list(_steps(lengths, size, config.training.seed))
    packed = _packed(lengths, layout, steps, ranks)
    padded = _padded(lengths, steps, per_device)
    seen = sum(len(step) for step in steps)
    over = "an epoch" if seen == len(lengths) else f"the first {seen:,} examples"
    rows = f"{packed.rows:,} row{'s' * (packed.rows != 1)} of at most {layout.row_tokens:,} tokens"
    said = (
        f"packing: {over} in {rows}, {packed.share:.1%} of it padding "
        f"({padded.share:.1%} without packing)"
    )
    return [said, *_advice(config, layout, sum(lengths) / max(len(lengths), 1))]


def _advice(config: Config, layout: Layout, mean: float) -> list[str]:
    """Say so where a step takes many short rows that one `batch_size` would lay into few."""
    training = config.training
    accumulated, micro = training.gradient_accumulation_steps, training.per_device_train_batch_size
    if accumulated == 1 or 2 * micro * mean > (layout.row_tokens or 0):
        return []
    whole = micro * accumulated * world_size()
    said = (
        f"packing: a row holds {micro} examples, about {micro * mean:,.0f} tokens; with "
        f"training.batch_size: {whole} instead of per_device_train_batch_size and "
        "gradient_accumulation_steps the same steps take fewer and fuller rows"
    )
    return [said]


def _steps(lengths: Sequence[int], size: int, seed: int) -> Iterator[Sequence[int]]:
    """Yield the examples of batches in the order of the first epoch, as far as they are looked at."""
    order = order_of(len(lengths), seed, 0)
    for start in range(0, min(len(order), max(_LOOKED_AT, size)), size):
        yield order[start : start + size]


def _packed(
    lengths: Sequence[int], layout: Layout, steps: Sequence[Sequence[int]], ranks: int
) -> Padding:
    budget = layout.row_tokens or 1
    used: list[int] = []
    for step in steps:
        own = [lengths[example] for example in step]
        rows = pack(own, budget, ranks=ranks)
        used += [width(sum(own[place] for place in row), layout.multiple) for row in rows]
    return Padding(len(used), padding_share((lengths[e] for step in steps for e in step), used))


def _padded(lengths: Sequence[int], steps: Sequence[Sequence[int]], size: int) -> Padding:
    places = batches = 0
    for step in steps:
        for start in range(0, len(step), size):
            some = [lengths[example] for example in step[start : start + size]]
            places += max(some) * len(some)
            batches += 1
    tokens = (lengths[example] for step in steps for example in step)
    return Padding(batches, padding_share(tokens, [places]))
