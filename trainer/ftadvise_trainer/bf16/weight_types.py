"""What a run is told about the type of its weights, and what becomes of small updates in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftadvise_trainer.config import Config

ADAMW = ("adamw_torch", "adamw_torch_fused")
"""Values of `optim` that mean AdamW as transformers makes it unless told otherwise."""

_UPDATED = {
    "adapter": "bfloat16 weights under an adapter in float32",
    "stochastic": "bfloat16 weights without a float32 copy, updates rounded at random and right in "
    "the mean",
    "kahan": "bfloat16 weights without a float32 copy, what rounding leaves over is kept for the "
    "next update",
    "nearest": "bfloat16 weights without a float32 copy: updates below 1/512 of a weight are lost",
    "other": "bfloat16 weights without a float32 copy, rounded as training.optim does",
}
_HELD = {
    "adapter": "frozen weights in bfloat16 (model.dtype), those of the adapter in float32",
    "stochastic": "master weights in bfloat16 (model.dtype), updated with stochastic rounding "
    "(training.bf16_updates)",
    "kahan": "master weights in bfloat16 (model.dtype), updated with Kahan sums "
    "(training.bf16_updates)",
    "nearest": "master weights in bfloat16: at small learning rates most updates are rounded away",
    "other": "master weights in bfloat16: training.bf16_updates is for AdamW and does nothing here",
}


_WIDENED = (
    "master weights in float32: accelerate makes them so for FSDP2 with bf16, whatever model.dtype "
    "says; training.bf16_updates does nothing here"
)


def kahan(config: Config) -> bool:
    """Return whether two more bytes are kept for each trained weight, with its optimizer's state."""
    return config.model.dtype == "bfloat16" and _kind(config) == "kahan"


def held(config: Config, *, widened: bool = False) -> str:
    """Return what the weights are kept in, for the person who starts a run.

    Args:
        config: The settings.
        widened: Whether bfloat16 weights become float32 (`spread.widened`).
    """
    if widened:
        return _WIDENED
    if config.model.dtype == "float32":
        return "master weights in float32 (model.dtype), whatever type they were saved in"
    return _HELD[_kind(config)]


def updated(config: Config, *, widened: bool = False) -> str:
    """Return what an update meets: float32 weights, or which way of rounding; as `held`."""
    if widened or config.model.dtype != "bfloat16":
        return "float32 master weights"
    return _UPDATED[_kind(config)]


def _kind(config: Config) -> str:
    if config.lora is not None:
        return "adapter"
    if config.training.more.get("optim", ADAMW[0]) not in ADAMW:
        return "other"
    return config.training.bf16_updates
