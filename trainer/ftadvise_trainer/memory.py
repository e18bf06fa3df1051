"""About how much memory a fine-tune needs, and how much there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftadvise.families import ModelFamily
    from ftadvise_trainer.config import Config

# What `needed` adds up, for people; rough, and mostly right within a factor of two.
FORMULA = (
    "= P w + T w + 2 T w (Adam) + 2 P (bf16 copies under autocast) + N (L (10 h + 4 f) a + V (a + 8))",
    "P parameters of w bytes, T of them trained; N tokens in a batch, padding included; L layers,",
    "h hidden, f feed-forward, V vocabulary; activations of a bytes",
)


@dataclass(frozen=True)
class Shape:
    """What the size of a model depends on.

    Attributes:
        parameters: Number of parameters, tied ones counted once.
        trainable: How many of them are trained; with LoRA those of the adapter.
        layers: Number of layers.
        hidden: Width of the hidden states.
        feed_forward: Width inside the feed-forward layers.
        vocabulary: Number of logits for each token.
    """

    parameters: int
    trainable: int
    layers: int
    hidden: int
    feed_forward: int
    vocabulary: int


@dataclass(frozen=True)
class Memory:
    """Bytes that a training step holds at its peak, roughly."""

    weights: int
    gradients: int
    adam: int
    autocast_copies: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.adam + self.autocast_copies + self.activations


def shape_of(config: Config, family: ModelFamily, *, remote_code: str | None = None) -> Shape:
    """Return the shape of the model that the settings name, without loading its weights."""
    import torch
    from transformers import AutoModelForCausalLM

    from ftadvise_trainer.models import model_config
    from ftadvise_trainer.remote_code import allowed

    settings = model_config(config, remote_code)
    how: dict[str, Any] = {}
    if remote_code is not None and getattr(settings, "auto_map", None):
        how = allowed(config, remote_code)
        how.pop("revision")
    with torch.device("meta"):  # shapes alone, no memory
        model = AutoModelForCausalLM.from_config(settings, **how)
    parameters = sum(p.numel() for p in model.parameters())
    text: Any = settings.get_text_config()
    hidden = int(text.hidden_size)
    feed_forward = getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None)
    return Shape(
        parameters=parameters,
        trainable=_adapter(model, config, family) if config.lora else parameters,
        layers=int(text.num_hidden_layers),
        hidden=hidden,
        feed_forward=int(feed_forward or 4 * hidden),
        vocabulary=int(text.vocab_size),
    )


def _adapter(model: Any, config: Config, family: ModelFamily) -> int:
    """Return the number of parameters of the LoRA adapter, two matrices for each layer."""
    assert config.lora is not None
    targets = config.lora.target_modules or family.lora_targets
    output = model.get_output_embeddings()
    count = 0
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        linear = type(module).__name__ in ("Linear", "Conv1D") and module is not output
        if linear and (not targets or name.rpartition(".")[2] in targets):
            count += config.lora.r * sum(weight.shape)  # type: ignore[union-attr]  # it is linear
    return count


def needed(
    shape: Shape, tokens: int, *, weight_bytes: int, autocast: bool, checkpointing: bool = False
) -> Memory:
    """Return about what a step needs, by `FORMULA`.

    Args:
        shape: Of the model.
        tokens: In a batch, padding included.
        weight_bytes: Of a parameter: 4 for float32, 2 for bfloat16.
        autocast: Whether the forward pass runs under bf16 autocast.
        checkpointing: Whether activations are computed again in the backward pass; then only the
            input of each layer is kept, and all of one layer.
    """
    active = 2 if autocast else weight_bytes
    layer = tokens * (10 * shape.hidden + 4 * shape.feed_forward) * active
    kept = shape.layers * layer
    if checkpointing:
        kept = shape.layers * tokens * shape.hidden * active + layer
    return Memory(
        weights=shape.parameters * weight_bytes,
        gradients=shape.trainable * weight_bytes,
        adam=2 * shape.trainable * weight_bytes,
        autocast_copies=2 * shape.parameters if autocast and weight_bytes > 2 else 0,
        activations=kept + tokens * shape.vocabulary * (active + 8),
    )


def available(use_cpu: bool) -> tuple[str, int]:
    """Return what memory is used, and how many bytes of it are free."""
    import torch

    if torch.cuda.is_available() and not use_cpu:
        free, _ = torch.cuda.mem_get_info()
        return f"on {torch.cuda.get_device_name()}", int(free)
    import psutil  # type: ignore[import-untyped]  # it brings no types; accelerate needs it too

    return "of main memory", int(psutil.virtual_memory().available)
