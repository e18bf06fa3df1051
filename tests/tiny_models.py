"""Models and data that train on a CPU in a second, for the tests of the trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Example = dict[str, list[int]]


def tiny_model(vocab: int = 64, seed: int = 0) -> PreTrainedModel:
    """Return a Llama of two layers in float32 with random weights, the same for the same seed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    # attn_implementation is a keyword of every config, though not of the signature
    settings: Any = {"attn_implementation": "eager"}
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        **settings,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).float()


ROUTER_WEIGHT = 3.0
"""Of that loss; large, so that it cannot hide behind the rest."""


def tiny_experts(kind: str = "mixtral", *, router: bool = True) -> Any:
    """Return a mixture of experts in float32, with or without the loss that balances them."""
    from transformers import AutoConfig, AutoModelForCausalLM

    auto_config: Any = AutoConfig
    auto: Any = AutoModelForCausalLM
    size: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 16,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_local_experts": 4,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "output_router_logits": router,
        "router_aux_loss_coef": ROUTER_WEIGHT,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return auto.from_config(auto_config.for_model(kind, **size)).float()


class Rows(Dataset[Example]):
    """A map-style dataset over a list."""

    def __init__(self, rows: list[Example]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        return self.rows[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.rows)


def ragged_dataset(n: int, seed: int = 0, vocab: int = 64, longest: int = 12) -> Rows:
    """Return `n` examples of 3 to `longest` tokens, of which the first few are not trained.

    Tokens repeat with a pattern, so that a model can learn something.
    """
    generator = torch.Generator().manual_seed(seed)
    rows: list[Example] = []
    for _ in range(n):
        length, start, stride = (
            int(torch.randint(low, high, (), generator=generator))
            for low, high in ((3, longest + 1), (3, vocab), (1, 4))
        )
        untrained = int(torch.randint(0, length - 1, (), generator=generator))
        tokens = [3 + (start + i * stride) % (vocab - 3) for i in range(length)]
        rows.append({"input_ids": tokens, "labels": [-100] * untrained + tokens[untrained:]})
    return Rows(rows)


def equal_dataset(n: int, seed: int = 0, vocab: int = 64, length: int = 8) -> Rows:
    """Return `n` examples of `length` tokens, all of them trained."""
    rows = [
        {"input_ids": (ids := (row["input_ids"] * length)[:length]), "labels": list(ids)}
        for row in ragged_dataset(n, seed, vocab)
    ]
    return Rows(rows)


def pad(rows: list[Example]) -> dict[str, torch.Tensor]:
    """Pad `rows` on the right to the longest of them."""
    longest = max(len(row["input_ids"]) for row in rows)

    def column(name: str, filler: int) -> torch.Tensor:
        return torch.tensor([row[name] + [filler] * (longest - len(row[name])) for row in rows])

    masked = [
        [1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows
    ]
    return {
        "input_ids": column("input_ids", 0),
        "attention_mask": torch.tensor(masked),
        "labels": column("labels", -100),
    }


def arguments(folder: object, **more: Any) -> Any:
    """Return `TrainingArguments` for a CPU: no reports, no bar, no saves, log every step."""
    from transformers import TrainingArguments

    settings: dict[str, Any] = {
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "learning_rate": 1e-2,
        "seed": 7,
        "dataloader_pin_memory": False,
    }
    return TrainingArguments(output_dir=str(folder), **(settings | more))


def weights(model: Any) -> dict[str, torch.Tensor]:
    """Return a copy of what a model holds."""
    state = cast("dict[str, torch.Tensor]", model.state_dict())
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def spoil_third_loss(model: Any) -> None:
    """Make the loss of the third training pass, and nothing else, infinite."""
    calls = 0

    def spoil(module: Any, inputs: Any, output: Any) -> Any:
        nonlocal calls
        calls += module.training
        if calls == 3:
            output["loss"] = output["loss"] + float("inf")
        return output

    model.register_forward_hook(spoil)
