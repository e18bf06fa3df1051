"""Tiny models of several families, for tests of packing."""

from __future__ import annotations

from typing import Any

import torch

_SIZE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
}

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "phi3")


def family_model(family: str, seed: int = 0) -> Any:
    """Return a model of a family with random weights in float32, the same for the same seed."""
    from transformers import AutoConfig, AutoModelForCausalLM

    auto_config: Any = AutoConfig
    auto: Any = AutoModelForCausalLM
    size = dict(_SIZE)
    if family == "gpt2":
        size = {"vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 128}
        size |= {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    if family in ("gemma2", "qwen3"):
        size["head_dim"] = 4
    if family == "gemma2":
        size |= {"sliding_window": 8, "query_pre_attn_scalar": 4}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return auto.from_config(auto_config.for_model(family, **size)).float()
