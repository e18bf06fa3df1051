"""One of two gloo processes with a model that is spread over them; see `test_optimizer_shards.py`."""

from __future__ import annotations

import os
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import distribute_tensor

from ftadvise_trainer.bf16.optimizer import Bf16AdamW

WHOLE = StateDictOptions(full_state_dict=True)  # on both processes
UPDATES = ("stochastic", "kahan")
HALF, END = 3, 6


def model() -> Any:
    """Five rows do not divide by two processes, and one row leaves the second with nothing."""
    generator = torch.Generator().manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.Linear(5, 1), torch.nn.Linear(1, 4)
    )
    for weight in layers.parameters():
        weight.data = torch.randn(weight.shape, generator=generator).bfloat16()
    return layers


def optimizer(layers: Any, updates: str) -> Bf16AdamW:
    return Bf16AdamW(layers.parameters(), lr=1e-2, weight_decay=0.1, updates=updates, seed=3)


def go(layers: Any, taken: Bf16AdamW, first: int, last: int) -> None:
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        for weight in layers.parameters():
            grad = torch.randn(weight.shape, generator=generator).bfloat16()
            spread = hasattr(weight, "placements")
            weight.grad = (
                distribute_tensor(grad, weight.device_mesh, weight.placements) if spread else grad
            )
        taken.step()


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    for updates in UPDATES:
        layers = model()
        fully_shard(layers)
        taken = optimizer(layers, updates)
        go(layers, taken, 0, HALF)
        half: dict[str, Any] = deepcopy(
            {
                "model": get_model_state_dict(layers, options=WHOLE),
                "optimizer": get_optimizer_state_dict(layers, taken, options=WHOLE),
            }
        )  # some of it shares its memory with the model
        taken.zero_grad()  # torch makes the states to load into only where there are no gradients
        again = optimizer(layers, updates)  # a state of whole tensors, spread again
        set_optimizer_state_dict(layers, again, half["optimizer"], options=WHOLE)
        go(layers, again, HALF, END)
        end = get_model_state_dict(layers, options=WHOLE)
        if os.environ["RANK"] == "0":
            torch.save(half | {"end": end}, folder / f"{updates}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
