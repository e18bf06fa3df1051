"""Finds out what a model does with its output layer's logits, by looking on: scale, cap, loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional

from ftadvise_trainer.speed.fused_loss import fuse, unfuse
from ftadvise_trainer.speed.linear_loss import Recipe

_TOKENS = 10
_TOLERANCE = 1e-5
_HALF_TOLERANCE = 2e-2
"""Relative. The loss itself is float32 in any model, the logits are not."""


def try_loss(model: Any) -> tuple[Recipe | None, str]:
    """Return how the loss comes from the output layer, or None and why it cannot be told.

    The model goes forward a few times with a few tokens; nothing of it is changed afterwards.

    Args:
        model: A causal language model, in evaluation, with gradients off.
    """
    linear = model.get_output_embeddings()
    if type(linear) is not torch.nn.Linear:
        kind = "none" if linear is None else f"a {type(linear).__name__}"
        return None, f"its output layer is {kind}, not a plain linear one"
    ids = _tokens(model)
    recipe = _recipe(model, linear, ids)
    if recipe is None:
        return None, "it does something with its logits that is not known here"
    outputs: Any = model(input_ids=ids, labels=ids, use_cache=False)
    plain = functional.cross_entropy(outputs["logits"][0, :-1].float(), ids[0, 1:])
    if not _close(plain, outputs["loss"], torch.float32):
        return None, "its loss is not the mean NLL of its logits alone"
    head = fuse(model, recipe)
    if head is None:
        return None, "its output layer cannot be replaced"
    try:
        with head.told(ids) as told:
            found = told.sum(model(input_ids=ids, use_cache=False)) / told.tokens
    finally:
        unfuse(model)
    if not _close(found, outputs["loss"], linear.weight.dtype):
        return None, "its loss is another when it is computed in pieces"
    return recipe, ""


def _recipe(model: Any, linear: torch.nn.Linear, ids: torch.Tensor) -> Recipe | None:
    """Return what the model makes of logits: nothing, or something with a number of its config.

    Logits of our own take the place of the layer's. Those of a model may be so small that no soft
    cap shows.
    """
    caught: list[torch.Tensor] = []

    def replaced(module: Any, args: Any, result: torch.Tensor) -> torch.Tensor:
        spread = torch.linspace(-40.0, 40.0, result.numel(), device=result.device)
        caught.append(spread.roll(7).reshape(result.shape).to(result.dtype))
        return caught[-1]

    handle = linear.register_forward_hook(replaced)
    try:
        outputs: Any = model(input_ids=ids, use_cache=False)
    finally:
        handle.remove()
    after = outputs["logits"]
    if len(caught) != 1 or after.shape != caught[0].shape:
        return None
    for recipe in _candidates(model):
        z = caught[0].float() * recipe.scale
        if recipe.cap is not None:
            z = recipe.cap * torch.tanh(z / recipe.cap)
        if _close(z, after, caught[0].dtype):
            return recipe
    return None


def _candidates(model: Any) -> list[Recipe]:
    """Return the plain recipe, and those of any number whose name has to do with logits."""
    found = [Recipe()]
    settings = model.config.get_text_config().to_dict()
    for name, value in settings.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or value == 0 or not ("logit" in name or "output" in name):
            continue
        if "cap" in name:
            found.append(replace(found[0], cap=float(value)))
        else:
            found += [replace(found[0], scale=scale) for scale in (float(value), 1.0 / value)]
    return found


def _tokens(model: Any) -> torch.Tensor:
    weight = model.get_input_embeddings().weight
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(0, int(weight.shape[0]), (1, _TOKENS), generator=generator)
    return ids.to(weight.device)


def _close(found: torch.Tensor, true: torch.Tensor, dtype: torch.dtype) -> bool:
    """Return whether two are equal, to the rounding of the type they were computed in."""
    tolerance = _HALF_TOLERANCE if dtype.itemsize < 4 else _TOLERANCE
    wide = true.double() if true.device.type != "mps" else true.float()
    difference = (found.to(wide.dtype) - wide).abs().max()
    return bool(difference <= tolerance * wide.abs().max().clamp(min=1e-6))
