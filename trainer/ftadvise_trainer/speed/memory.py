"""About how much memory a fine-tune needs, and how much there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftadvise.families import ModelFamily
    from ftadvise_trainer.config import Config

PIECE = 3_500_000_000
"""Bytes at most of the logits of a piece and of what is made of them, in the loss in pieces."""


def formula(fused: bool = False) -> tuple[str, ...]:
    """Return what `needed` adds up, in lines for people; mostly right within a factor of 1.5."""
    logits = "min(7 N V a, 3.5 GB) + 4 N h + 8 V h, the loss in pieces"
    return (
        "= P w + T w + 2 T w (Adam; 3 T w with Kahan sums) + 2 P (bf16 copies under autocast)",
        "+ N L (c h + 4 f) a",
        f"+ {logits if fused else 'N V (a + 8), the logits'};",
        "P parameters of w bytes, T of them trained; N tokens in a forward pass, padding included;",
        "L layers, h hidden, f feed-forward, V vocabulary; activations of a bytes, c of them as wide",
        "as h in a layer: 10 in float32, 12 in bf16, 17 under autocast",
    )


FORMULA = formula()


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
    adapter = _adapter(model, config, family) if config.lora else None
    return shape_of_model(model, trainable=adapter)


def shape_of_model(model: Any, trainable: int | None = None) -> Shape:
    """Return the shape of a model that is there, with an adapter or without.

    Args:
        model: Of transformers or PEFT.
        trainable: Number of trained parameters; counted when left out.
    """
    text: Any = model.config.get_text_config()
    hidden = int(text.hidden_size)
    feed_forward = getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None)
    if trainable is None:
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Shape(
        parameters=sum(p.numel() for p in model.parameters()),
        trainable=trainable,
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
    shape: Shape,
    tokens: int,
    *,
    weight_bytes: int,
    autocast: bool,
    checkpointing: bool = False,
    fused: bool = False,
    kahan: bool = False,
) -> Memory:
    """Return about what a forward and backward pass needs at its peak, by `formula`.

    Args:
        shape: Of the model.
        tokens: In a forward pass, padding included: a packed row, or a batch.
        weight_bytes: Of a parameter: 4 for float32, 2 for bfloat16.
        autocast: Whether the forward pass runs under bf16 autocast.
        checkpointing: Whether activations are computed again in the backward pass; then only the
            input of each layer is kept, and all of one layer.
        fused: Whether the loss is computed in pieces, so that all logits never stand at a time.
        kahan: Whether what rounding leaves over is kept beside Adam's moments.
    """
    active = 2 if autocast else weight_bytes
    # How many tensors as wide as the hidden state a layer keeps: counted in the code of Llama and
    # Qwen2, and in what autograd saves (tests). Under autocast the residual stream is float32, and
    # each matrix has its own bf16 copy of its input.
    wide = (17 if weight_bytes > 2 else 12) if active == 2 else 10
    layer = tokens * (wide * shape.hidden + 4 * shape.feed_forward) * active
    kept = shape.layers * layer
    if checkpointing:
        kept = shape.layers * tokens * shape.hidden * weight_bytes + layer
    return Memory(
        weights=shape.parameters * weight_bytes,
        gradients=shape.trainable * weight_bytes,
        adam=(3 if kahan else 2) * shape.trainable * weight_bytes,
        autocast_copies=2 * shape.parameters if autocast and weight_bytes > 2 else 0,
        activations=kept + _head(shape, tokens, active, fused),
    )


def _head(shape: Shape, tokens: int, active: int, fused: bool) -> int:
    """Return the bytes of logits; in pieces, those of one, and the gradients of hidden and head."""
    if not fused:
        return tokens * shape.vocabulary * (active + 8)
    piece = min(7 * tokens * shape.vocabulary * active, PIECE)
    return piece + 4 * tokens * shape.hidden + 8 * shape.vocabulary * shape.hidden


def available(use_cpu: bool) -> tuple[str, int]:
    """Return what memory is used, and how many bytes of it are free."""
    import torch

    if torch.cuda.is_available() and not use_cpu:
        free, _ = torch.cuda.mem_get_info()
        return f"on {torch.cuda.get_device_name()}", int(free)
    import psutil  # type: ignore[import-untyped]  # it brings no types; accelerate needs it too

    return "of main memory", int(psutil.virtual_memory().available)
