"""The loss of a piece of logits, and its gradient in their place: eager, and as one kernel."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def eager(
    logits: torch.Tensor,
    targets: torch.Tensor,
    scale: float = 1.0,
    cap: float | None = None,
    with_gradient: bool = True,
) -> torch.Tensor:
    """Return the NLL of each row, and put the gradient of their sum in the place of the logits.

    Args:
        logits: Shape (m, vocabulary), as they come from the layer; overwritten if asked.
        targets: Shape (m,) int64.
        scale: Factor on the logits.
        cap: Then they become ``cap · tanh(logit / cap)``.
        with_gradient: Whether to overwrite the logits with ``softmax - one-hot``, and what scale
            and cap make of it.

    Returns:
        Shape (m,), in float32, or float64 for float64.
    """
    z = _bent(logits.to(wide(logits.dtype)), scale, cap)
    lse = torch.logsumexp(z, dim=-1, keepdim=True)
    at = targets[:, None]
    nll = (lse - z.gather(1, at))[:, 0]
    if not with_gradient:
        return nll
    slope = None if cap is None else 1.0 - (z / cap) ** 2
    own = z.data_ptr() != logits.data_ptr()  # else float32 logits that somebody may want
    gradient = torch.sub(z, lse, out=z if own else logits).exp_()
    # One less at the target before it is rounded: of a probability near one little is left.
    gradient.scatter_add_(1, at, gradient.new_full((1, 1), -1.0).expand_as(at))
    if slope is not None:
        gradient *= slope
    if scale != 1.0:
        gradient *= scale
    if own:
        logits.copy_(gradient)
    return nll


def functional(
    logits: torch.Tensor,
    targets: torch.Tensor,
    scale: float = 1.0,
    cap: float | None = None,
    with_gradient: bool = True,
) -> torch.Tensor:
    """Do what `eager` does in terms that a compiler makes one kernel of."""
    z = _bent(logits.to(wide(logits.dtype)), scale, cap)
    lse = torch.logsumexp(z, dim=-1, keepdim=True)
    at = targets[:, None]
    nll = (lse - z.gather(1, at))[:, 0]
    if with_gradient:
        classes = torch.arange(z.shape[1], device=z.device)
        gradient = torch.exp(z - lse) - (classes == at).to(z.dtype)
        if cap is not None:
            gradient = gradient * (1.0 - (z / cap) ** 2)
        if scale != 1.0:
            gradient = gradient * scale
        logits.copy_(gradient)
    return nll


def _bent(z: torch.Tensor, scale: float, cap: float | None) -> torch.Tensor:
    if scale != 1.0:
        z = z * scale
    return z if cap is None else cap * torch.tanh(z / cap)


@cache
def compiled() -> Callable[..., torch.Tensor]:
    """Return `functional`, compiled at its first call."""
    # The first number of rows gets a graph of its own, the second one for any number. Sizes that
    # are dynamic from the start would make the vocabulary one too, which never changes.
    return torch.compile(functional)


@cache
def fastest(device: torch.device, dtype: torch.dtype, vocabulary: int) -> Callable[..., Any]:
    """Return the fastest way that gives what `eager` gives: our kernel where Triton runs it.

    Raises:
        Exception: What a compiler, or the lack of one, raises.
    """
    kernel = _kernel(device, dtype)
    if kernel is not None and _agrees(kernel, device, dtype, vocabulary):
        return kernel
    for rows in (128, 256):  # compiled for any number of rows
        logits = torch.zeros(rows, vocabulary, device=device, dtype=dtype)
        targets = torch.zeros(rows, device=device, dtype=torch.int64)
        compiled()(logits, targets, 1.0, None, True)
    return compiled()


def _kernel(device: torch.device, dtype: torch.dtype) -> Callable[..., torch.Tensor] | None:
    if device.type != "cuda" or dtype == torch.float64 or find_spec("triton") is None:
        return None
    from ftadvise_trainer.speed.chunk_kernel import one_kernel

    return cast("Callable[..., torch.Tensor]", one_kernel)


def _agrees(
    kernel: Callable[..., torch.Tensor], device: torch.device, dtype: torch.dtype, vocabulary: int
) -> bool:
    """Return whether the kernel gives what `eager` gives, on this device and for these sizes."""
    draws = torch.Generator(device).manual_seed(0)
    shape = (16, vocabulary)
    ours = torch.randn(shape, device=device, generator=draws).mul_(3.0).to(dtype)
    theirs = ours.clone()
    targets = torch.randint(vocabulary, (16,), device=device, generator=draws)
    try:
        nll = kernel(ours, targets, 1.0, None, True)
    except Exception:  # noqa: BLE001 - a compiler may fail in any way; there is another one
        return False
    true = eager(theirs, targets, 1.0, None, True)
    close = torch.allclose(ours.float(), theirs.float(), rtol=0.02, atol=1e-5)
    return close and torch.allclose(nll, true, rtol=1e-4, atol=1e-4)


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return the type to sum in."""
    return torch.float64 if dtype == torch.float64 else torch.float32
