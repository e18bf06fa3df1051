"""The cross-entropy of a linear layer's logits, a piece of them at a time.

Logits of a large vocabulary are the largest tensor of a fine-tune: 32,768 tokens of 151,936 logits
are 10 GB in bfloat16, and their softmax in float32 another 20. Here a piece is made, turned into
its loss and its gradient in place, multiplied into the gradients of the hidden states and of the
weight, and forgotten. So the forward pass does the work of the backward pass too, which only
multiplies by the factor that comes from above.

Pieces are large. A matrix product of a few hundred rows does not fill a GPU, and the gradient of
the weight is read and written once for each piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch

from ftadvise_trainer.speed.chunk_loss import eager, fastest, wide

COMPILED_BYTES = 1 << 30
"""Bytes of a piece of logits on a GPU, where its loss is one compiled kernel and takes no more.

On an H200 (benchmarks/fused_loss_gpu.py) larger pieces are not faster, and a quarter is 10 % slower."""

EAGER_BYTES = 512 << 20
"""Of a piece on a GPU elsewise, where float32 copies stand beside it, about four times as much."""

CPU_BYTES = 64 << 20
"""Of a piece on the CPU, which gains nothing by large ones."""

_TILE = 128
"""Rows of a tile of a matrix product."""


@dataclass(frozen=True)
class Recipe:
    """How logits come from the layer, and how they are computed.

    Attributes:
        scale: Factor on them (Cohere, Granite).
        cap: Soft cap: ``cap · tanh(logit / cap)`` (Gemma); None for no cap.
        chunk_bytes: Bytes of a piece of logits; None takes the usual.
        compiled: Whether the pointwise part is compiled into one kernel.
    """

    scale: float = 1.0
    cap: float | None = None
    chunk_bytes: int | None = None
    compiled: bool = False


def linear_nll(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    places: torch.Tensor,
    recipe: Recipe = Recipe(),
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the NLL of some of the tokens under a linear layer.

    Args:
        hidden: Shape (tokens, d).
        weight: Shape (vocabulary, d). The products are in `hidden`'s type.
        bias: Shape (vocabulary,), or None.
        targets: Shape (n,) int64, the class of each place.
        places: Shape (n,) int64, which of the tokens count; each at most once.
        recipe: How it is computed.

    Returns:
        The sum (a scalar of float32, or float64 for float64), the NLL of each place (n,) without
        a gradient, and a zero of shape (1, 1, 1) that hangs on the same graph and gives it no
        gradient.
    """
    trained = torch.is_grad_enabled()
    wanted = tuple(
        trained and x is not None and x.requires_grad for x in (hidden, weight, bias)
    )  # inside of the function gradients are off
    function: Any = _LinearNLL.apply
    return cast(
        "tuple[torch.Tensor, torch.Tensor, torch.Tensor]",
        function(hidden, weight, bias, targets, places, recipe, wanted),
    )


class _LinearNLL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        places: torch.Tensor,
        recipe: Recipe,
        wanted: tuple[bool, bool, bool],
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows = hidden.index_select(0, places)
        gradients = Gradients(rows, weight, bias, wanted)
        nll = _chunks(rows, weight, bias, targets, recipe, gradients)
        ctx.gradients = gradients
        ctx.types = hidden.dtype, weight.dtype, None if bias is None else bias.dtype
        ctx.places, ctx.shape, ctx.used = places, hidden.shape, False
        ctx.mark_non_differentiable(nll)
        return nll.sum(), nll, nll.new_zeros(1, 1, 1)

    @staticmethod
    def backward(ctx: Any, *from_above: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if ctx.used:
            raise RuntimeError("the gradients of this loss have been used: go forward again")
        ctx.used = True
        gradients, ctx.gradients = ctx.gradients, None
        rows, weight, bias = gradients.times(from_above[0], ctx.types)
        hidden = None
        if rows is not None:
            hidden = rows.new_zeros(ctx.shape).index_copy_(0, ctx.places, rows)
        return hidden, weight, bias, None, None, None, None


class Gradients:
    """The gradients that are wanted, as they grow piece by piece."""

    def __init__(
        self,
        rows: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        wanted: tuple[bool, bool, bool],
    ) -> None:
        """Begin at zero.

        Args:
            rows: Shape (n, d), what the layer is applied to.
            weight: Of the layer.
            bias: Of the layer.
            wanted: Whether the gradients of the three are wanted.
        """
        summed = wide(rows.dtype)
        self.any = any(wanted)
        self.rows = torch.empty_like(rows) if wanted[0] else None
        # Sums over pieces are kept in float32, so that many pieces are as good as one.
        self.weight = weight.new_zeros(weight.shape, dtype=summed) if wanted[1] else None
        self.bias = (
            bias.new_zeros(bias.shape, dtype=summed) if bias is not None and wanted[2] else None
        )

    def add(
        self, of_logits: torch.Tensor, rows: torch.Tensor, weight: torch.Tensor, at: slice
    ) -> None:
        """Add a piece.

        Args:
            of_logits: Shape (m, vocabulary), the gradient of its logits.
            rows: Shape (m, d).
            weight: In the type of `rows`.
            at: Where in all rows it stands.
        """
        if self.rows is not None:
            torch.mm(of_logits, weight, out=self.rows[at])
        if self.weight is not None:
            _add_product(self.weight, of_logits.t(), rows)
        if self.bias is not None:
            self.bias += of_logits.sum(dim=0, dtype=self.bias.dtype)

    def times(
        self, factor: torch.Tensor, types: tuple[torch.dtype, torch.dtype, torch.dtype | None]
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """Return the three times `factor`, in the types that autograd wants; they are used up.

        The factor is one over the number of tokens, and half precision would round it: so it is
        multiplied in float32.
        """
        rows = None if self.rows is None else (self.rows.to(factor.dtype) * factor).to(types[0])
        # In place: of 152,000 x 3,584 there is no second one to spare.
        weight = None if self.weight is None else self.weight.mul_(factor).to(types[1])
        bias = None if self.bias is None else self.bias.mul_(factor).to(types[2])
        return rows, weight, bias


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Add ``left @ right`` to `total`, which may be of a wider type."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    elif total.is_cuda and wide_sums(total.device.index, left.dtype, total.dtype):
        operation: Any = torch.addmm
        operation(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total += left @ right


@cache
def wide_sums(index: int, narrow: torch.dtype, wide_type: torch.dtype) -> bool:
    """Return whether the GPU adds a product of a narrow type to a wide sum in one operation."""
    device = torch.device("cuda", index)
    left = torch.arange(256.0, device=device).reshape(16, 16).remainder(7.0).to(narrow)
    total = torch.full((16, 16), 0.125, dtype=wide_type, device=device)
    try:
        operation: Any = torch.addmm
        operation(total, left.t(), left, out_dtype=wide_type, out=total)
    except (RuntimeError, TypeError):
        return False
    true = left.to(wide_type).t() @ left.to(wide_type) + 0.125
    return bool((total - true).abs().max() < 1e-3)


def _chunks(
    rows: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    recipe: Recipe,
    gradients: Gradients,
) -> torch.Tensor:
    """Return the NLL of each row, and let the gradients grow."""
    size = chunk_rows(len(rows), weight.shape[0] * rows.element_size(), recipe, rows.device)
    weight = weight.detach().to(rows.dtype)
    bias = None if bias is None else bias.detach().to(rows.dtype)
    work = fastest(rows.device, rows.dtype, len(weight)) if recipe.compiled else eager
    nll = torch.empty(len(rows), dtype=wide(rows.dtype), device=rows.device)
    buffer = rows.new_empty(min(size, len(rows)), weight.shape[0])
    for start in range(0, len(rows), size):
        at = slice(start, min(start + size, len(rows)))
        piece = rows[at]
        logits = buffer[: len(piece)]
        if bias is None:
            torch.mm(piece, weight.t(), out=logits)
        else:
            torch.addmm(bias, piece, weight.t(), out=logits)
        nll[at] = work(logits, targets[at], recipe.scale, recipe.cap, gradients.any)
        if gradients.any:
            gradients.add(logits, piece, weight, at)
    return nll


def chunk_rows(rows: int, row_bytes: int, recipe: Recipe, device: torch.device) -> int:
    """Return how many rows of logits make a piece: all of one size, save the last.

    Args:
        rows: How many there are.
        row_bytes: Bytes of the logits of one.
        recipe: With or without a size.
        device: Where they are.
    """
    usual = COMPILED_BYTES if recipe.compiled else EAGER_BYTES
    most = recipe.chunk_bytes or (CPU_BYTES if device.type == "cpu" else usual)
    fitting = max(1, most // row_bytes)
    pieces = max(1, -(-rows // fitting))
    even = -(-rows // pieces)
    if fitting >= _TILE:
        even, fitting = -(-even // _TILE) * _TILE, fitting // _TILE * _TILE
    return max(1, min(fitting, even))
