"""Tiny models of several families, and documents laid end to end, for tests of what makes it fast."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import torch

VOCABULARY = 97

_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("qwen2", {}),
    "qwen2 tied": ("qwen2", {"tie_word_embeddings": True}),
    "qwen2 windows": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "llama": ("llama", {}),
    "llama many heads": ("llama", {"num_key_value_heads": 4}),
    "gpt2": ("gpt2", {"n_embd": 32, "n_head": 4, "n_layer": 2, "attn_pdrop": 0.0}),
    "mistral": ("mistral", {"sliding_window": 4}),
    "phi3": ("phi3", {}),
    "phi": ("phi", {}),  # with a bias in its output layer
    "gemma": ("gemma", {"head_dim": 8}),
    "gemma3": ("gemma3_text", {"head_dim": 8, "sliding_window": 4}),
    "gemma3 capped": ("gemma3_text", {"head_dim": 8, "final_logit_softcapping": 30.0}),
    "granite": ("granite", {"logits_scaling": 8.0}),
    "cohere": ("cohere", {"logit_scale": 0.0625}),
}
"""Those that can be packed."""


def made_model(name: str, dtype: torch.dtype = torch.float32, **more: Any) -> Any:
    """Return a tiny model with random weights large enough that everything in it shows."""
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, settings = FAMILIES.get(name, (name, {}))
    dropouts = {"resid_pdrop": 0.0, "embd_pdrop": 0.0} if kind == "gpt2" else {}
    auto: Any = AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, **{**_SIZES, **dropouts, **settings, **more})
        model = auto.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(10.0)
    return model.to(dtype)


def tokens(*lengths: int, seed: int = 0) -> list[torch.Tensor]:
    """Return documents of these lengths, of shape (1, length) each."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, VOCABULARY, (1, n), generator=generator) for n in lengths]


def laid_out(documents: list[torch.Tensor]) -> dict[str, Any]:
    """Return what a model is called with for a row of documents."""
    lengths = [one.shape[1] for one in documents]
    ends = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    return {
        "input_ids": torch.cat(documents, dim=1),
        "position_ids": torch.cat([torch.arange(n) for n in lengths])[None],
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
        "use_cache": False,
    }


def labels_of(documents: list[torch.Tensor], untrained: int = 1) -> torch.Tensor:
    """Return labels of a row, of which the first few of each document are not trained."""
    parts = [one.clone() for one in documents]
    for one in parts:
        one[:, :untrained] = -100
    return torch.cat(parts, dim=1)


def mean_nll(model: Any, documents: list[torch.Tensor], untrained: int = 1) -> torch.Tensor:
    """Return the mean NLL over the trained tokens of documents that go forward one by one."""
    sums: list[torch.Tensor] = []
    count = 0
    for one in documents:
        labels = labels_of([one], untrained)
        trained = int(labels[:, 1:].ne(-100).sum())
        count += trained
        if trained:
            sums.append(model(input_ids=one, labels=labels, use_cache=False).loss * trained)
    return torch.stack(sums).sum() / count


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradients of a loss by the name of their parameter, and clear them."""
    model.zero_grad()
    torch.autograd.backward(loss)
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def assert_close(
    found: dict[str, torch.Tensor], true: dict[str, torch.Tensor], tolerance: float
) -> None:
    """Fail where a tensor differs by more than `tolerance` times the largest number in it."""
    assert found.keys() == true.keys()
    for name, wanted in true.items():
        room = tolerance * max(1.0, float(wanted.abs().max()))
        assert float((found[name] - wanted).abs().max()) <= room, name
