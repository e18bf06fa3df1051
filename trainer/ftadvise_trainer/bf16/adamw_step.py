"""One step of AdamW for flat tensors of one size, in plain arithmetic that compiles to one kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ftadvise_trainer.bf16.rounding import high_half, low_half, nearest, random_bits, stochastic

if TYPE_CHECKING:
    from collections.abc import Callable

Tensors = list[torch.Tensor]


def adamw(
    weights: Tensors,
    grads: Tensors,
    firsts: Tensors,
    seconds: Tensors,
    lefts: Tensors,
    numbers: torch.Tensor,
    places: torch.Tensor,
) -> None:
    """Update flat tensors of one size in place.

    Args:
        weights: float32 or bfloat16, each of shape (n,), as all the others.
        grads: Their gradients.
        firsts: First moments.
        seconds: Second moments.
        lefts: What rounding left over of the weights so far; empty without Kahan sums.
        numbers: 1 - rate x decay, step size, 1 / root of the second bias, 1 - beta1, beta2, 1 - beta2
            and epsilon of each; shape (tensors, 8), float32.
        places: Key and first element of each, shape (tensors, 4), int32.
    """
    for i, (weight, grad, first, second) in enumerate(
        zip(weights, grads, firsts, seconds, strict=True)
    ):
        decay, size, root, share1, beta2, share2, eps, _ = numbers[i].unbind()
        slope = grad.float()
        mean = first.float()
        mean = mean + (slope - mean) * share1
        square = second.float() * beta2 + slope * slope * share2
        wanted = weight.float()
        if lefts:
            wanted = wanted + lefts[i].float()
        wanted = wanted * decay - size * (mean / (square.sqrt() * root + eps))
        first.copy_(mean)
        if weight.dtype != torch.bfloat16:
            weight.copy_(wanted)
            second.copy_(square)
            continue
        bits = random_bits(weight.numel(), places[i, 1], places[i, 0])
        second.copy_(stochastic(square, high_half(bits)))
        if lefts:
            rounded = nearest(wanted)
            lefts[i].copy_(wanted - rounded.float())
            weight.copy_(rounded)
        else:
            weight.copy_(stochastic(wanted, low_half(bits)))


_made: list[Callable[..., None]] = []


def compiled_adamw() -> Callable[..., None]:
    """Return `adamw` compiled, for every size at once; made once, for all optimizers."""
    if not _made:
        _made.append(torch.compile(adamw, dynamic=True, fullgraph=True))
    return _made[0]
