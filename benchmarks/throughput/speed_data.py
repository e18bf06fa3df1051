"""Models of known shape with random weights, and examples as long as those of chats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

SHORTEST, MEDIAN, LONGEST, SPREAD = 16, 200, 2048, 0.8
"""Tokens of an example; the logarithm of the length is normal with this spread."""
PAD, EOS, IGNORED = 0, 1, -100

Example = dict[str, list[int]]


@dataclass(frozen=True)
class Shape:
    """What a model of the Qwen2 architecture is made of."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int
    tied: bool


SHAPES = {
    "tiny": Shape(32, 2, 4, 2, 64, 512, True),
    "0.5B": Shape(896, 24, 14, 2, 4864, 151_936, True),
    "1.5B": Shape(1536, 28, 12, 2, 8960, 151_936, True),
    "7B": Shape(3584, 28, 28, 4, 18_944, 152_064, False),
}


def config_of(name: str, attention: str | None = None) -> Any:
    """Return the transformers config of a shape."""
    from transformers import Qwen2Config

    shape = SHAPES[name]
    how: dict[str, Any] = {"attn_implementation": attention} if attention else {}
    return Qwen2Config(
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=32_768,
        pad_token_id=PAD,
        eos_token_id=EOS,
        use_cache=False,
        **how,
    )


def model_of(name: str, dtype: torch.dtype, attention: str | None = None) -> Any:
    """Return the model, made where it is trained, with the same random weights every time."""
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return auto.from_config(config_of(name, attention), dtype=dtype)


def examples(count: int, vocabulary: int, longest: int = LONGEST) -> list[Example]:
    """Return examples of ragged length, the same every time; every token is trained.

    Their tokens are frequent and rare as words are (Zipf), so that there is something to learn.
    """
    rng = np.random.default_rng(0)
    drawn = rng.lognormal(np.log(MEDIAN), SPREAD, count)
    lengths = np.clip(drawn, SHORTEST, longest).astype(int)
    shares = np.cumsum(1.0 / np.arange(10, 10 + vocabulary - 2))
    ranks = np.searchsorted(shares, rng.random(int(lengths.sum())) * shares[-1])
    tokens = (ranks + 2).astype(int)  # the first two are for padding and the end
    parts = np.split(tokens, np.cumsum(lengths)[:-1])
    return [{"input_ids": (ids := part.tolist()), "labels": ids} for part in parts]


def mean_length(rows: list[Example]) -> float:
    """Return the mean length of the document that a token is in."""
    lengths = np.array([len(row["input_ids"]) for row in rows], dtype=float)
    return float((lengths**2).sum() / lengths.sum())
