"""The loss of a piece of logits as one kernel of Triton's: it reads them twice and writes them once.

What a compiler makes of `chunk_loss.functional` takes five times as long as the memory needs
(measured on an H200: 32.6 ms for 35,600 tokens of 151,936 logits, 10.8 GB), because it divides to
find out where it is. Here a program has one row, and each of its lanes its own running maximum and
sum (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018), so that nothing
waits for anything until the row has been read.

Triton comes with torch on a GPU; this module is imported only there.
"""

# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportOptionalOperand=false, reportIndexIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl

_LANES = 4096
_WARPS = 16
_LOWEST = tl.constexpr(-1.0e30)  # finite: the difference of two infinities is no number
_LOG2E = tl.constexpr(1.4426950408889634)


def one_kernel(
    logits: torch.Tensor,
    targets: torch.Tensor,
    scale: float = 1.0,
    cap: float | None = None,
    with_gradient: bool = True,
) -> torch.Tensor:
    """Do what `chunk_loss.eager` does, for float16, bfloat16 and float32."""
    rows, vocabulary = logits.shape
    nll = torch.empty(rows, dtype=torch.float32, device=logits.device)
    if rows:
        _kernel[(rows,)](
            logits, logits.stride(0), targets, nll, scale, cap or 1.0, VOCABULARY=vocabulary,
            CAPPED=cap is not None, GRADIENT=with_gradient, LANES=_LANES, num_warps=_WARPS,
        )  # fmt: skip
    return nll


@triton.jit
def _bent(x, scale, cap, CAPPED: tl.constexpr):
    z = x.to(tl.float32) * scale
    if CAPPED:
        z = cap * (1.0 - 2.0 / (tl.exp2(2.0 * _LOG2E * z / cap) + 1.0))  # cap · tanh(z / cap)
    return z


@triton.jit
def _kernel(
    logits, stride, targets, nll, scale, cap, VOCABULARY: tl.constexpr,
    CAPPED: tl.constexpr, GRADIENT: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    here = logits + row * stride
    target = tl.load(targets + row).to(tl.int32)
    lanes = tl.arange(0, LANES)
    highest = tl.full((LANES,), _LOWEST, tl.float32)
    total = tl.zeros((LANES,), tl.float32)
    for start in range(0, VOCABULARY, LANES):
        inside = start + lanes < VOCABULARY
        z = _bent(tl.load(here + start + lanes, mask=inside, other=0.0), scale, cap, CAPPED)
        z = tl.where(inside, z * _LOG2E, _LOWEST)
        higher = tl.maximum(highest, z)
        total = total * tl.exp2(highest - higher) + tl.where(inside, tl.exp2(z - higher), 0.0)
        highest = higher
    top = tl.max(highest, 0)
    lse = top + tl.log2(tl.sum(total * tl.exp2(highest - top), 0))  # in units of log 2
    own = _bent(tl.load(here + target), scale, cap, CAPPED)
    tl.store(nll + row, lse / _LOG2E - own)
    if GRADIENT:
        for start in range(0, VOCABULARY, LANES):
            inside = start + lanes < VOCABULARY
            z = _bent(tl.load(here + start + lanes, mask=inside, other=0.0), scale, cap, CAPPED)
            gradient = tl.exp2(z * _LOG2E - lse) - tl.where(start + lanes == target, 1.0, 0.0)
            if CAPPED:
                gradient *= 1.0 - (z / cap) * (z / cap)
            tl.store(
                here + start + lanes,
                (gradient * scale).to(logits.dtype.element_ty),
                mask=inside,
            )
