# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportOptionalMemberAccess=false, reportIndexIssue=false
"""AdamW in one pass over the memory, as a Triton kernel; imported only where Triton is there."""

import triton
import triton.language as tl

_BLOCK = 1024


@triton.jit
def _kernel(
    weight, grad, mean, square, scale, rate, decay, beta2, fix1, fix2, size,
    BETA1: tl.constexpr, EPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    model = tl.program_id(1)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    place = model.to(tl.int64) * size + at
    b2 = tl.load(beta2 + model)
    lr = tl.load(rate + model)
    g = tl.load(grad + place, inside, 0.0) * tl.load(scale + model)
    m = tl.load(mean + place, inside, 0.0)
    v = tl.load(square + place, inside, 0.0)
    w = tl.load(weight + place, inside, 0.0)
    m = m + (1.0 - BETA1) * (g - m)
    v = v * b2 + (1.0 - b2) * g * g
    w = w * (1.0 - lr * tl.load(decay + model))
    w = w - lr * tl.load(fix1 + model) * m / (tl.sqrt(v) * tl.load(fix2 + model) + EPS)
    tl.store(mean + place, m, inside)
    tl.store(square + place, v, inside)
    tl.store(weight + place, w, inside)


def adamw(weight, grad, mean, square, scale, rate, decay, beta2, fix1, fix2, *, beta1, eps):
    """Do what optimizer.adamw does; every large tensor (M x K) must be contiguous."""
    models, size = weight.shape
    _kernel[(triton.cdiv(size, _BLOCK), models)](
        weight, grad, mean, square, scale, rate, decay, beta2, fix1, fix2, size,
        BETA1=beta1, EPS=eps, BLOCK=_BLOCK,
    )  # fmt: skip
