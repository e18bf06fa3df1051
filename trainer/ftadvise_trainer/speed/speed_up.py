"""Switches on what makes a fine-tune fast where it gives the same numbers, and says what and why.

Each part is tried on the model itself, with a few tokens, before a run relies on it. A model that
is not as others are goes on the plain way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from ftadvise.text import clean
from ftadvise_trainer.arguments import precision
from ftadvise_trainer.speed import attention, attention_check, chunk_loss, compiling
from ftadvise_trainer.speed.fused_loss import FusedHead, fuse, unfuse
from ftadvise_trainer.speed.loss_check import try_loss

if TYPE_CHECKING:
    from ftadvise_trainer.config import Config
    from ftadvise_trainer.speed.linear_loss import Recipe

_REPLICATED = "one process has several GPUs; start it by torchrun"
_OWN_DOCUMENTS = "flash_attention"
_KERNEL_SECONDS = 60.0
"""Length of a run for which the ten seconds that compiling kernels takes are well spent: of a step
of a 0.5B model that of the loss saves a fifth, and those of attention a fifteenth."""


@dataclass(frozen=True)
class Speed:
    """What was switched on.

    Attributes:
        packed: Whether examples may be laid end to end.
        head: The output layer that is told the labels; None leaves the loss to the model.
        compiled: Whether the decoder's blocks are compiled at their first forward pass.
        lines: What was switched on, what was not and why; a sentence each.
    """

    packed: bool
    head: FusedHead | None
    compiled: bool
    lines: tuple[str, ...]

    @property
    def fused(self) -> bool:
        """Whether the loss is computed in pieces."""
        return self.head is not None


@dataclass(frozen=True)
class _Plan:
    """What the first process found out, for all of them."""

    attention: str | None
    packing: str
    recipe: Recipe | None
    loss: str
    compiling: compiling.Verdict
    grouped: bool
    own: bool


def speed_up(
    model: Any,
    config: Config,
    *,
    device: torch.device | str,
    steps: int | None = None,
    step_tokens: float | None = None,
) -> Speed:
    """Switch on in `model` what makes it fast, in place, and return what that is.

    With several processes the first one looks, and the others do as it says.

    Args:
        model: As it is trained, with its adapter; its weights may be on another device still.
        config: The settings; `training.packing`, `fused_loss` and `compile_blocks`.
        device: Where it is trained.
        steps: Optimizer steps of the run; None when unknown.
        step_tokens: Tokens of an optimizer step on one process, about; None when unknown.
    """
    device = torch.device(device)
    unfuse(model)  # where it has been here before
    several = distributed.is_available() and distributed.is_initialized()
    holder: list[Any] = [None]
    if not several or distributed.get_rank() == 0:
        holder[0] = _plan(model, config, device, steps, step_tokens)
    if several:
        distributed.broadcast_object_list(holder, src=0)
    plan: _Plan = holder[0]
    packed = plan.attention is not None
    if plan.attention == attention.NAME:
        attention.GROUPED["native"] = plan.grouped
        attention.OWN["kernels"] = plan.own
        attention_check.switch_on(model)
    head = fuse(model, plan.recipe) if plan.recipe is not None else None
    compiled = plan.compiling.compiled
    number = compiling.compile_blocks(model) if compiled else 0
    return Speed(packed, head, number > 0, _lines(plan, number))


def _plan(
    model: Any, config: Config, device: torch.device, steps: int | None, step_tokens: float | None
) -> _Plan:
    seconds = compiling.run_seconds(_decoder_size(model), steps, step_tokens)
    long = device.type == "cuda" and (seconds or 0.0) >= _KERNEL_SECONDS
    way, packing, own = _attention(model, config, device, long=long)
    recipe, loss = _loss(model, config, device)
    verdict = compiling.worthwhile(config.training.compile_blocks, device, seconds)
    if _replicated(device):
        verdict = compiling.Verdict(False, _REPLICATED)
    if verdict.compiled and not compiling.blocks(model):
        verdict = compiling.Verdict(False, "its decoder has no list of blocks that are alike")
    kernel = long and recipe is not None
    problem = _compiler_problem(model, config, device) if verdict.compiled or kernel else None
    if verdict.compiled and problem is not None:
        verdict = compiling.Verdict(False, problem)
    if recipe is not None and device.type == "cuda":
        recipe = replace(recipe, compiled=(verdict.compiled or kernel) and problem is None)
    return _Plan(way, packing, recipe, loss, verdict, attention.GROUPED["native"], own)


def _attention(
    model: Any, config: Config, device: torch.device, *, long: bool
) -> tuple[str | None, str, bool]:
    """Return the attention to pack with, or None; what there is to say; whether by our kernels."""
    if config.training.packing is False:
        return None, "training.packing is false", False
    if config.training.more.get("torch_compile"):
        return None, "torch_compile compiles the whole model", False
    own = False
    try:
        before = config.model.attn_implementation or str(
            model.get_correct_attn_implementation(None)
        )
        if before.startswith(_OWN_DOCUMENTS):
            return before, f"{before} goes document by document", False
        if before not in ("sdpa", attention.NAME):
            return None, f"its attention is {before}, not sdpa", False
        if getattr(model.config.get_text_config(), "output_router_logits", False):
            return None, "the loss of its routers would count once for each row", False
        if _is_empty(model):
            return None, "its weights are not loaded, so that it cannot be tried", False
        trial = attention_check.try_documents(model, before)
        problem = trial.problem
        if problem is None and device.type == "cuda":
            problem = attention_check.kernel_problem(trial.seen, device, _dtype(config))
            if problem is None and long:
                own = attention_check.own_kernels(trial.seen, device, _dtype(config))
    except Exception as error:  # noqa: BLE001  # a model may do anything; the run goes on
        problem = f"a trial failed ({_words(error)})"
    if problem is not None:
        return None, problem, False
    return attention.NAME, "documents of a row do not see each other, as tried on this model", own


def _loss(model: Any, config: Config, device: torch.device) -> tuple[Recipe | None, str]:
    if config.training.fused_loss is False:
        return None, "training.fused_loss is false"
    more = config.training.more
    if _replicated(device):
        return None, _REPLICATED
    for key in ("label_smoothing_factor", "torch_compile"):
        if more.get(key):
            return None, f"training.{key} is set"
    try:
        if _is_empty(model):
            return None, "its weights are not loaded, so that it cannot be tried"
        with attention_check.quiet(model):
            recipe, reason = try_loss(model)
    except Exception as error:  # noqa: BLE001  # a model may do anything; the run goes on
        return None, f"a trial failed ({_words(error)})"
    if recipe is None:
        return None, reason
    bent = [f"a soft cap of {recipe.cap:g}"] if recipe.cap is not None else []
    bent += [f"a factor of {recipe.scale:g}"] if recipe.scale != 1.0 else []
    with_it = f", with {' and '.join(bent)} on the logits" if bent else ""
    return recipe, f"in pieces, never all logits of a row{with_it}"


def _compiler_problem(model: Any, config: Config, device: torch.device) -> str | None:
    """Return why nothing can be compiled for `device`, by compiling the loss of a piece for it."""
    try:
        vocabulary = int(model.get_input_embeddings().weight.shape[0])
        chunk_loss.fastest(device, _dtype(config), vocabulary)
    except Exception as error:  # noqa: BLE001  # whatever a compiler, or the lack of one, raises
        return f"nothing can be compiled here ({_words(error)})"
    return None


def _dtype(config: Config) -> torch.dtype:
    """Return the type that the matrix products are in."""
    half = precision(config).autocast or config.model.dtype == "bfloat16"
    return torch.bfloat16 if half else torch.float32


def _decoder_size(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


def _replicated(device: torch.device) -> bool:
    """Return whether transformers will make copies of the model in every step (DataParallel)."""
    alone = not (distributed.is_available() and distributed.is_initialized())
    return device.type == "cuda" and alone and torch.cuda.device_count() > 1


def _is_empty(model: Any) -> bool:
    return any(parameter.is_meta for parameter in model.parameters())


def _words(error: Exception) -> str:
    text = clean(str(error).strip().partition("\n")[0], 120)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _lines(plan: _Plan, number: int) -> tuple[str, ...]:
    yes = "packing: yes, " if plan.attention is not None else "packing: no, "
    fused = "loss: " if plan.recipe is not None else "loss: from all logits, "
    verdict = plan.compiling
    compiled = f"compiling {number} decoder blocks: " if number else "not compiled: "
    return (yes + plan.packing, fused + plan.loss, compiled + verdict.reason)
