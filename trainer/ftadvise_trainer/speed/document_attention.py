"""Attention over documents by our own kernels, as an operation that torch can compile around.

The kernels are in `document_kernel`; which layers go through them, `attention` decides.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTHS = (32, 64, 128)
"""Widths of a head that there is a kernel for."""

_MULTIPLE = 128
"""Of every block: rows of such a length need no look at their end."""
_LOG2E = 1.4426950408889634


class Blocks(NamedTuple):
    """How a kernel cuts its work: the fastest of some on an H200 (`benchmarks/throughput/attention_gpu.py`)."""

    rows: int
    columns: int
    warps: int
    stages: int


FORWARD = {width: Blocks(64, 32, 4, 3) for width in WIDTHS}
QUERIES = {32: Blocks(64, 32, 4, 3), 64: Blocks(64, 32, 4, 3), 128: Blocks(128, 32, 8, 3)}
KEYS = {32: Blocks(64, 64, 4, 3), 64: Blocks(64, 64, 4, 3), 128: Blocks(32, 64, 4, 3)}


def available(width: int) -> bool:
    """Return whether there are kernels for heads of this width here."""
    return width in WIDTHS and find_spec("triton") is not None


@cache
def _kernels() -> Any:
    return import_module("ftadvise_trainer.speed.document_kernel")


def attend_documents(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    ends: torch.Tensor,
    window: int | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """Return what each query attends to: the tokens of its document up to itself.

    Args:
        query: Shape (tokens, heads, width), in half precision on a GPU.
        key: Shape (tokens, key heads, width).
        value: As `key`.
        ends: Shape (documents + 1,) int32, from 0 to the number of tokens.
        window: How many tokens a token sees, itself included; None is all of its document.
        scale: Factor of the products; by default one over the root of the width.

    Returns:
        Shape (tokens, heads, width).
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    call: Any = torch.ops.ftadvise.document_attention
    out: torch.Tensor = call(query, key, value, ends, window or 0, scale)[0]
    return out


@torch.library.custom_op("ftadvise::document_attention", mutates_args=())
def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    ends: torch.Tensor,
    window: int,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the result, the logarithm of each row's sum, and the first and last token seen."""
    query, key, value = _without_gaps((query, key, value))
    tokens, heads, width = query.shape
    out, sums, first, last = _empty(query)
    documents = len(ends) - 1
    _kernels().bounds_kernel[(-(-tokens // 256),)](
        ends, first, last, tokens, documents, window or tokens,
        HALVINGS=max(1, documents.bit_length()), SIZE=256,
    )  # fmt: skip
    blocks = FORWARD[width]
    _kernels().forward_kernel[(-(-tokens // blocks.rows), heads)](
        query, key, value, out, sums, first, *_strides(query, key, value, out),
        tokens, scale * _LOG2E, **_sizes(query, key, blocks),
    )  # fmt: skip
    return out, sums, first, last


@_attention.register_fake
def _(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    ends: torch.Tensor,
    window: int,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    return _empty(query)


@torch.library.custom_op("ftadvise::document_attention_backward", mutates_args=())
def _gradients(
    above: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    out: torch.Tensor,
    sums: torch.Tensor,
    first: torch.Tensor,
    last: torch.Tensor,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients of queries, keys and values, in their shapes and without gaps."""
    above, query, key, value = _without_gaps((above, query, key, value))
    of_query, of_key, of_value = (_like(x) for x in (query, key, value))
    tokens, heads, width = query.shape
    inner = torch.empty_like(sums)
    blocks = QUERIES[width]
    _kernels().queries_kernel[(-(-tokens // blocks.rows), heads)](
        query, key, value, out, above, of_query, sums, inner, first,
        *_strides(query, key, value, out, above, of_query), tokens, scale, scale * _LOG2E,
        **_sizes(query, key, blocks),
    )  # fmt: skip
    blocks = KEYS[width]
    _kernels().keys_kernel[(-(-tokens // blocks.columns), key.shape[1])](
        query, key, value, above, of_key, of_value, sums, inner, first, last,
        *_strides(query, key, value, above, of_key), tokens, scale, scale * _LOG2E,
        **_sizes(query, key, blocks),
    )  # fmt: skip
    return of_query, of_key, of_value


@_gradients.register_fake
def _(
    above: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    out: torch.Tensor,
    sums: torch.Tensor,
    first: torch.Tensor,
    last: torch.Tensor,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _like(query), _like(key), _like(value)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    query, key, value, _, _, scale = inputs
    ctx.save_for_backward(query, key, value, *output)
    ctx.scale = scale


def _backward(ctx: Any, above: torch.Tensor, *unused: Any) -> tuple[torch.Tensor | None, ...]:
    call: Any = torch.ops.ftadvise.document_attention_backward
    found: tuple[torch.Tensor, ...] = call(above, *ctx.saved_tensors, ctx.scale)
    return *found, None, None, None


_attention.register_autograd(_backward, setup_context=_keep)


def _empty(
    query: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    tokens, heads, _ = query.shape
    sums = query.new_empty((heads, tokens), dtype=torch.float32)
    first, last = (query.new_empty((tokens,), dtype=torch.int32) for _ in range(2))
    return _like(query), sums, first, last


def _like(tensor: torch.Tensor) -> torch.Tensor:
    """Return an empty tensor of the same shape, without gaps."""
    return tensor.new_empty(tensor.shape)


def _without_gaps(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [x if x.stride(-1) == 1 else x.contiguous() for x in tensors]


def _strides(*tensors: torch.Tensor) -> list[int]:
    return [step for x in tensors for step in x.stride()[:2]]


def _sizes(query: torch.Tensor, key: torch.Tensor, blocks: Blocks) -> dict[str, Any]:
    return {
        "GROUP": query.shape[1] // key.shape[1],
        "WIDTH": query.shape[2],
        "WHOLE": query.shape[0] % _MULTIPLE == 0,
        "ROWS": blocks.rows,
        "COLUMNS": blocks.columns,
        "num_warps": blocks.warps,
        "num_stages": blocks.stages,
    }
