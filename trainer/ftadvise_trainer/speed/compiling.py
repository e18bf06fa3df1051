"""Compiles the blocks of a decoder, each in its place, and says when that pays.

One block is compiled and its code serves all that are alike, so that it takes seconds where a
whole model takes minutes. Embedding, output layer and loss stay as they are. Sizes are dynamic
from the start: packed rows differ in width, in documents and in the longest document, and with
fixed sizes every new row would be compiled again, until torch gives up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

COMPILE_SECONDS = 45.0
"""What the first steps of a compiled run take longer, on a GPU: 18 s for blocks in training on an
H200, as much again for evaluation, and the loss."""

GAIN = 0.2
"""Share of a step that is saved: the elementwise work between the matrix products becomes few
kernels. Reported are 14 % (torchtitan, Llama 3.1 8B, H100), 14 to 19 % (Axolotl), 21 %
(torchtune); measured here, Qwen2.5 0.5B on an H200, 33 %. The larger a model, the less."""

_FLOPS = 2.5e14
"""Floating-point operations a second of an eager step: a quarter of an H100's peak in bf16. On a
slower GPU a run is longer than this says, and compiling pays sooner."""


@dataclass(frozen=True)
class Verdict:
    """Whether to compile.

    Attributes:
        compiled: The answer.
        reason: Why, in a few words.
    """

    compiled: bool
    reason: str


def blocks(model: Any) -> list[torch.nn.Module]:
    """Return the decoder's blocks: the longest list of modules of one class, at least two long.

    In a model of several towers the most parameters decide between lists of one length.
    """
    found: list[torch.nn.Module] = []
    for module in model.modules():
        if not isinstance(module, torch.nn.ModuleList) or len(module) < 2:
            continue
        alike = list(module)
        if len({type(block) for block in alike}) != 1:
            continue
        if (len(alike), _size(alike[0])) > (len(found), _size(found[0]) if found else 0):
            found = alike
    return found


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def compile_blocks(model: Any) -> int:
    """Compile each block at its next forward pass.

    Works with activation checkpointing, whose recomputation goes through the compiled block, and
    with DDP and FSDP2, whose hooks stay outside of it. Parameters and their names do not change.

    Returns:
        How many blocks there are; 0 when none were found, and nothing was changed.
    """
    found = blocks(model)
    for block in found:
        block.compile(dynamic=True)
    return len(found)


def run_seconds(parameters: int, steps: int | None, step_tokens: float | None) -> float | None:
    """Return about how long a run on a GPU takes without compiling; None when it cannot be told.

    Args:
        parameters: Of the model.
        steps: Optimizer steps of the run.
        step_tokens: Tokens of an optimizer step on one process.
    """
    if steps is None or step_tokens is None:
        return None
    return steps * step_tokens * 6.0 * parameters / _FLOPS


def worthwhile(asked: bool | None, device: torch.device, seconds: float | None) -> Verdict:
    """Return whether a run is long enough to pay for compiling.

    Args:
        asked: `training.compile_blocks`.
        device: Where it is trained.
        seconds: As `run_seconds` gives them.
    """
    if asked is not None:
        return Verdict(asked, f"training.compile_blocks is {str(asked).lower()}")
    if device.type != "cuda":
        return Verdict(False, "compiling pays on a GPU")
    if seconds is None:
        return Verdict(False, "the length of the run is not known")
    saved = GAIN * seconds
    run = f"a run of about {max(1, round(seconds / 60)):,} min would gain {saved:,.0f} s"
    if saved <= COMPILE_SECONDS:
        return Verdict(False, f"{run}, and compiling takes {COMPILE_SECONDS:.0f} s")
    return Verdict(
        True, f"{run}; the first steps take {COMPILE_SECONDS:.0f} s longer, while they compile"
    )
