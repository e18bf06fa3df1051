"""Trains the models that the fine-tunes begin with, on the plain texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from engine import Setup, Stack, Steps, Table
from optimizer import schedule
from stack import initial

if TYPE_CHECKING:
    from engine import How
    from numpy.typing import NDArray
    from plan import Base
    from stack import Weights

BATCH = 64
HELD_BACK = 512  # windows at the end of the pool
_CALL = 128  # steps between two looks at the clock
_RATE = 1.5e-3


def windows(pool: NDArray[np.uint16], length: int, device: torch.device) -> Table:
    """Return the pool as rows of `length` tokens, each token but the first to be predicted."""
    count = len(pool) // length
    ids = torch.from_numpy(pool[: count * length].astype(np.int64)).reshape(count, length)
    cuts = torch.tensor([[1, length]]).repeat(count, 1)
    return Table(ids.to(device), cuts.to(device))


def pretrain(base: Base, table: Table, how: How) -> list[Weights]:
    """Return the weights of both variants: all of the base's tokens, and a quarter of them.

    The second variant stops there: its schedule (5 % warm-up, then linear) ends with its tokens.
    """
    length = table.ids.shape[1]
    setup = Setup(base.shape, 2, BATCH, length, length - 1, longest=_CALL)
    stack = Stack(setup, table, how)
    totals = [max(8, base.tokens // share // (BATCH * length)) for share in (1, 4)]
    for slot in range(2):
        stack.load(slot, initial(base.shape, 10 * base.seed + slot))
    draw = np.random.default_rng(base.seed)
    train_rows = len(table.ids) - HELD_BACK
    for begin in range(0, totals[0], _CALL):
        at = np.arange(begin, min(begin + _CALL, totals[0]))
        rates = [_RATE * schedule("linear", at, total, total // 20) for total in totals]
        stack.train(
            Steps(
                rows=draw.integers(0, train_rows, (len(at), 2, BATCH)),
                rate=np.stack(rates, 1),
                decay=np.full((len(at), 2), 0.1),
                beta2=np.full((len(at), 2), 0.98),
                done=np.stack([at, at], 1),
            )
        )
    held_back = np.arange(train_rows, len(table.ids))
    losses = stack.evaluate(np.stack([held_back, held_back]))
    print(f"pre-trained {base.shape}: {totals} steps, loss {losses.round(3).tolist()}", flush=True)
    return [stack.weights(slot) for slot in range(2)]
