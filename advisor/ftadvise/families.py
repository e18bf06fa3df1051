"""What a model family is: the data type behind the `register_model_families` hook."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelFamily:
    """A kind of model, such as Qwen or Llama.

    Attributes:
        name: Short name in lower case, such as `"qwen"`.
        model_types: Values of `model_type` in `config.json` that belong to it.
        title: The name people write, such as `"Qwen"`.
    """

    name: str
    model_types: tuple[str, ...]
    title: str = ""

    def matches(self, model_type: str) -> bool:
        """Say whether a model whose config has this `model_type` belongs to the family."""
        return model_type in self.model_types
