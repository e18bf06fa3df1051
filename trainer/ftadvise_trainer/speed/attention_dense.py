"""Causal attention over documents that lie end to end, without the kernel for it: on any device."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch.nn import functional


def dense(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    ends: torch.Tensor,
    window: int | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Return attention over documents by a mask of tokens x tokens; of any type, on any device.

    Args:
        query: Shape (1, heads, tokens, width).
        key: Shape (1, key heads, tokens, width).
        value: As `key`.
        ends: Shape (documents + 1,), from 0 to the number of tokens.
        window: How many tokens a token sees, itself included.
        scaling: Factor of the products; by default one over the root of the width.
        dropout: Of the weights.

    Returns:
        Shape (1, heads, tokens, width).
    """
    places = torch.arange(query.shape[2], device=query.device, dtype=ends.dtype)
    document = torch.searchsorted(ends[1:].contiguous(), places, right=True)
    distance = places[:, None] - places
    seen = (document[:, None] == document) & (distance >= 0)
    if window is not None:
        seen = seen & (distance < window)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=seen, dropout_p=dropout, scale=scaling
    )


def one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    ends: torch.Tensor,
    window: int | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Return what `dense` does, in the time of the documents alone; `ends` is read by the host."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    parts: list[torch.Tensor] = []
    for start, end in pairwise(ends.tolist()):
        q, k, v = (x[:, :, start:end] for x in (query, key, value))
        local = None
        if window is not None and end - start > window:
            local = torch.ones(end - start, end - start, dtype=torch.bool, device=q.device)
            local = local.tril().triu(1 - window)
        part = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=local, is_causal=local is None, dropout_p=dropout, scale=scaling
        )
        parts.append(part)
    return torch.cat(parts, dim=2)
