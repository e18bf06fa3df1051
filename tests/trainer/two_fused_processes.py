"""What each of two gloo processes does: packed rows and the fused loss, under DDP and FSDP2."""

from __future__ import annotations

import os
from typing import Any

import torch
from made_documents import (
    assert_close,
    gradients,
    labels_of,
    laid_out,
    made_model,
    mean_nll,
    tokens,
)
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from ftadvise_trainer.config import Config
from ftadvise_trainer.speed.speed_up import speed_up


def trained(labels: torch.Tensor) -> int:
    return int(labels[:, 1:].ne(-100).sum())


def spread(model: Any, kind: str) -> Any:
    if kind == "ddp":
        wrap: Any = torch.nn.parallel.DistributedDataParallel
        return wrap(model, find_unused_parameters=True)
    mesh = init_device_mesh("cpu", (2,))
    shard: Any = fully_shard
    for block in model.model.layers:
        shard(block, mesh=mesh)
    if kind == "fsdp, the head by itself":
        shard(model.get_output_embeddings(), mesh=mesh)
    return shard(model, mesh=mesh)


def check(kind: str, name: str) -> None:
    model = made_model(name)
    rows = [tokens(6, 5, 9, seed=1), tokens(4, 11, seed=2)]
    labels = [labels_of(documents) for documents in rows]
    count = sum(trained(one) for one in labels)
    losses = [
        mean_nll(model, documents) * trained(one)
        for documents, one in zip(rows, labels, strict=True)
    ]
    true = gradients(model, torch.stack(losses).sum() / count)
    speed = speed_up(model, Config(), device="cpu", steps=5)
    assert speed.packed
    assert speed.head is not None
    wrapped = spread(model, kind)
    rank = distributed.get_rank()
    with speed.head.told(labels[rank]) as told:
        outputs = wrapped(**laid_out(rows[rank]))
    # The mean over processes is taken of what each of them has.
    torch.autograd.backward(told.sum(outputs) / count * 2)
    found: dict[str, torch.Tensor] = {}
    for key, parameter in model.named_parameters():
        gradient: Any = parameter.grad
        found[key] = gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
    assert_close(found, true, 2e-5)


def main() -> None:
    distributed.init_process_group("gloo")
    check("ddp", "qwen2 tied")
    check("fsdp", "gemma3 capped")
    check("fsdp, the head by itself", "qwen2")
    distributed.destroy_process_group()


if __name__ == "__main__" and "RANK" in os.environ:
    main()
