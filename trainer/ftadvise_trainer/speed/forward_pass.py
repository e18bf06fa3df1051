"""What a forward pass of a run will hold, known before any weights are: for `--dry-run`."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise_trainer.speed.row_size import MULTIPLE, Room, rows_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise_trainer.speed.memory import Memory


@dataclass(frozen=True)
class ForwardPass:
    """The largest forward pass to expect.

    Attributes:
        tokens: In it, padding included.
        memory: What it needs.
        lines: The same in words, where the model can do what the settings ask for.
    """

    tokens: int
    memory: Memory
    lines: tuple[str, ...]


def packed(
    room: Room,
    lengths: Sequence[int],
    batch: int,
    *,
    row_tokens: int | None = None,
    checkpointing: bool | None = None,
) -> ForwardPass:
    """Return the largest packed row.

    Args:
        room: What the model needs and the device has.
        lengths: Tokens of the train examples.
        batch: Examples that a process has of an optimizer step.
        row_tokens: As the settings say; None takes what fits.
        checkpointing: Whether activations are computed again; None where memory asks for it.
    """
    longest = max(lengths)
    why = room.without_checkpointing(longest) if checkpointing is None else None
    again = checkpointing if checkpointing is not None else why is not None
    budget = row_tokens or rows_in(room, longest, checkpointing=again)
    step = _step(lengths, batch)
    tokens = max(min(budget, step), longest)
    told = f"packed rows of at most {budget:,} tokens; a step has up to about {step:,}"
    return _told(room, tokens, again, (told, *([why] if why else [])))


def padded(
    room: Room, lengths: Sequence[int], batch: int, *, checkpointing: bool | None = None
) -> ForwardPass:
    """Return the largest batch: the longest examples together, each padded to the longest of all.

    Args:
        room: As for `packed`.
        lengths: As for `packed`.
        batch: Examples in a forward pass.
        checkpointing: Whether activations are computed again.
    """
    longest = max(lengths)
    told = (
        f"a batch of {batch} examples, each padded to the longest, of {longest:,} tokens at most"
    )
    return _told(room, batch * longest, bool(checkpointing), (told,))


def _told(room: Room, tokens: int, checkpointing: bool, lines: tuple[str, ...]) -> ForwardPass:
    logits = "the loss in pieces: all logits never stand at a time" if room.fused else "all logits"
    memory = room.needs(tokens, checkpointing=checkpointing)
    return ForwardPass(tokens, memory, (f"{lines[0]}; {logits}", *lines[1:]))


def _step(lengths: Sequence[int], batch: int) -> int:
    """Return the tokens of a large step: three deviations above the mean of random ones."""
    batch = min(batch, len(lengths))
    spread = 3.0 * math.sqrt(batch) * statistics.pstdev(lengths)
    step = min(batch * statistics.fmean(lengths) + spread, sum(lengths))
    return -(-math.ceil(step) // MULTIPLE) * MULTIPLE
