"""AdamW over a stack, each model with its own rate, and the schedules of the rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

BETA1 = 0.9
EPS = 1e-8
MAX_GRAD_NORM = 1.0


def schedule(
    kind: str, steps: NDArray[np.int64], total: int, warmup: int, decay: int = 0
) -> NDArray[np.float64]:
    """Return the share of the peak rate at each step (0 is the first), as transformers has it.

    Args:
        kind: linear, cosine, constant (with warm-up), or hold (then linear to 0).
        steps: Steps at which the share is wanted.
        total: Steps of the whole run.
        warmup: Steps from 0 up to the peak.
        decay: For hold: how many steps at the end decay.
    """
    left = np.clip((total - steps) / max(1, total - warmup), 0.0, 1.0)
    if kind == "linear":
        share = left
    elif kind == "cosine":
        share = 0.5 * (1.0 + np.cos(math.pi * (1.0 - left)))
    elif kind == "constant":
        share = np.ones(len(steps))
    elif kind == "hold":
        share = np.clip((total - steps) / max(1, decay), 0.0, 1.0)
    else:
        raise ValueError(f"no schedule is called {kind!r}")
    return np.where(steps < warmup, steps / max(1, warmup), share)


def adamw(
    weight: Tensor,
    grad: Tensor,
    mean: Tensor,
    square: Tensor,
    scale: Tensor,
    rate: Tensor,
    decay: Tensor,
    beta2: Tensor,
    fix1: Tensor,
    fix2: Tensor,
) -> None:
    """Update weights and moments (M x K) in place, as torch.optim.AdamW does for each model.

    `scale` clips the gradient; `fix1` = 1 / (1 - beta1^t) and `fix2` = 1 / sqrt(1 - beta2^t)
    correct the bias. These and the rest are (M,).
    """
    scale, rate, decay, beta2, fix1, fix2 = (
        x[:, None] for x in (scale, rate, decay, beta2, fix1, fix2)
    )
    grad = grad * scale
    mean.lerp_(grad, 1.0 - BETA1)
    square.mul_(beta2).add_((1.0 - beta2) * grad * grad)
    weight.mul_(1.0 - rate * decay)
    weight.sub_(rate * fix1 * mean / (square.sqrt() * fix2 + EPS))


def update(
    weights: Sequence[Tensor],
    grads: Sequence[Tensor],
    moments: Sequence[tuple[Tensor, Tensor]],
    settings: dict[str, Tensor],
    fast: bool,
) -> Tensor:
    """Clip and apply one step to all parameters (each M x ...); return the gradient norms (M,)."""
    flat = [grad.reshape(len(grad), -1).contiguous() for grad in grads]
    parts = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in flat])
    norms: Tensor = torch.linalg.vector_norm(parts, dim=0)
    scale = (MAX_GRAD_NORM / (norms + 1e-6)).clamp(max=1.0)
    for weight, grad, (mean, square) in zip(weights, flat, moments, strict=True):
        tensors = (weight.view(grad.shape), grad, mean.view(grad.shape), square.view(grad.shape))
        if fast:
            from fused import adamw as fused_adamw  # only where there is a GPU

            fused_adamw(*tensors, scale, **settings, beta1=BETA1, eps=EPS)  # type: ignore[no-untyped-call]
        else:
            adamw(*tensors, scale, **settings)
    return norms
