"""Many decoders of one shape as one: every parameter has a leading dimension M, the models.

A decoder has learned positions, layer norms without weights, GELU, and an embedding that is also
the output layer. With a LoRA rank, its matrices are frozen and each of the four matrices of a
layer has low-rank factors of its own (alpha = 2 x rank).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Shape:
    """What all models of a stack have in common."""

    width: int
    layers: int
    heads: int
    vocabulary: int = 4096
    length: int = 128

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter of one model."""
        d, n = self.width, self.layers
        return {
            "embed": (self.vocabulary, d),
            "place": (self.length, d),
            "qkv": (n, d, 3 * d),
            "out": (n, d, d),
            "up": (n, d, 4 * d),
            "down": (n, 4 * d, d),
        }

    def factor_sizes(self, rank: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each LoRA factor of one model."""
        sizes: dict[str, tuple[int, ...]] = {}
        for name in ("qkv", "out", "up", "down"):
            n, rows, columns = self.sizes()[name]
            sizes[f"{name}.a"] = (n, rows, rank)
            sizes[f"{name}.b"] = (n, rank, columns)
        return sizes

    @property
    def parameters(self) -> int:
        """Parameters of one model without its embeddings."""
        return 12 * self.layers * self.width**2


def initial(shape: Shape, seed: int) -> Weights:
    """Return fresh weights of one model, on the CPU; residual outputs are scaled by depth."""
    draw = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    for name, size in shape.sizes().items():
        std = 0.02 if name in ("embed", "place") else size[-2] ** -0.5
        if name in ("out", "down"):
            std /= (2 * shape.layers) ** 0.5
        weights[name] = torch.randn(size, generator=draw) * std
    return weights


def initial_factors(shape: Shape, rank: int, seed: int) -> Weights:
    """Return LoRA factors of one model: `a` random, `b` zero, as peft begins."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: torch.zeros(size)
        if name.endswith(".b")
        else (2 * torch.rand(size, generator=draw) - 1) * size[-2] ** -0.5
        for name, size in shape.factor_sizes(rank).items()
    }


def _layers(weights: Weights, name: str, dtype: torch.dtype) -> list[tuple[Tensor, ...]]:
    """Return the matrices of each layer: (M x in x out), or with two factors beside it."""
    names = [name] + [f"{name}{end}" for end in (".a", ".b") if f"{name}{end}" in weights]
    return list(zip(*(weights[n].to(dtype).unbind(1) for n in names), strict=True))


def _project(x: Tensor, matrices: tuple[Tensor, ...]) -> Tensor:
    out = torch.bmm(x, matrices[0])
    if len(matrices) == 3:
        out = out + 2.0 * torch.bmm(torch.bmm(x, matrices[1]), matrices[2])
    return out


def hidden(
    weights: Weights, tokens: Tensor, shape: Shape, dtype: torch.dtype, dropout: float
) -> Tensor:
    """Return the last hidden states (M x B*T x width) for tokens (M x B x T, int64)."""
    m, b, t = tokens.shape
    d = shape.width
    first = torch.arange(m, device=tokens.device)[:, None] * shape.vocabulary
    table = weights["embed"].reshape(m * shape.vocabulary, d)
    # index_select and not F.embedding: its backward sorts, and must not within a CUDA graph.
    x = table.index_select(0, (tokens.reshape(m, b * t) + first).reshape(-1)).reshape(m, b, t, d)
    x = (x + weights["place"][:, None, :t]).to(dtype).reshape(m, b * t, d)
    x = F.dropout(x, dropout)
    parts = (_layers(weights, name, dtype) for name in ("qkv", "out", "up", "down"))
    for qkv, out, up, down in zip(*parts, strict=True):
        heads = _project(F.layer_norm(x, (d,)), qkv)
        q, k, v = heads.view(m * b, t, 3, shape.heads, d // shape.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(m, b * t, d)
        x = x + F.dropout(_project(mixed, out), dropout)
        inner = F.gelu(_project(F.layer_norm(x, (d,)), up), approximate="tanh")
        x = x + F.dropout(_project(inner, down), dropout)
    return F.layer_norm(x, (d,))


def token_losses(
    weights: Weights,
    tokens: Tensor,
    cuts: Tensor,
    shape: Shape,
    *,
    answer: int,
    dtype: torch.dtype,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Return for each model the sum of its answers' losses and the number of their tokens (M,).

    Args:
        weights: Parameters with a leading dimension M.
        tokens: Token ids (M x B x T).
        cuts: Where each answer begins and where it ends (M x B x 2).
        shape: The models.
        answer: Tokens an answer has at most: logits are computed for as many places only.
        dtype: What to compute in; the loss itself is float32 at least.
        dropout: Probability of a zero, after the embedding and both parts of each layer.
    """
    m, b, t = tokens.shape
    x = hidden(weights, tokens, shape, dtype, dropout)
    after = cuts[..., :1] + torch.arange(answer, device=tokens.device)  # (M, B, answer)
    inside = after < cuts[..., 1:]
    after = after.clamp(max=t - 1)
    targets = tokens.gather(2, after).masked_fill(~inside, IGNORED)
    first = torch.arange(m * b, device=tokens.device).reshape(m, b, 1) * t
    x = x.reshape(m * b * t, -1).index_select(0, (first + after - 1).reshape(-1))
    head = weights["embed"].to(dtype).transpose(1, 2)
    logits = torch.bmm(x.reshape(m, b * answer, -1), head).flatten(0, 1)
    wide = torch.float32 if dtype == torch.bfloat16 else dtype
    logs = F.log_softmax(logits, -1, dtype=wide)
    losses = F.nll_loss(logs, targets.reshape(-1), ignore_index=IGNORED, reduction="none")
    return losses.reshape(m, -1).sum(1), inside.reshape(m, -1).sum(1)
