"""The average of the best checkpoints, taken where its eval loss is lower than that of each.

Checkpoints of one run lie around the bottom that it came to; their mean lies nearer to the middle
of it (Izmailov et al., "Averaging Weights Leads to Wider Optima", 2018). Which of them to take is
decided as in the greedy soup of Wortsman et al., "Model soups", 2022: lowest eval loss first, and
each further one stays only if the average gets better for it. The eval loss that chose the best
checkpoint chooses the average, so nothing is decided on other data than before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_WEIGHTS = "*.safetensors"


@dataclass(frozen=True)
class Average:
    """Checkpoints whose mean is better than each of them.

    Attributes:
        members: Their folders, the lowest eval loss first; at least two.
        eval_loss: Eval loss of the mean, in nats per token.
    """

    members: tuple[Path, ...]
    eval_loss: float


def greedy(
    candidates: Sequence[tuple[Path, float]], score: Callable[[Sequence[Path]], float]
) -> Average | None:
    """Return the checkpoints to average, or None when the best one alone is not beaten.

    Args:
        candidates: Folder and eval loss of each checkpoint, in any order.
        score: Returns the eval loss of the mean of some folders; NaN where there is none.
    """
    ranked = sorted(candidates, key=lambda one: one[1])
    if not ranked:
        return None
    members, lowest = [ranked[0][0]], ranked[0][1]
    for folder, _ in ranked[1:]:
        loss = score([*members, folder])
        if math.isfinite(loss) and loss < lowest:
            members, lowest = [*members, folder], loss
    return Average(tuple(members), lowest) if len(members) > 1 else None


def mean_weights(folders: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Return the mean of the weights in several checkpoints, each in the type it is saved in.

    Added up in float32 (float64 stays), one tensor at a time. What is no number with a fraction
    is that of the first.

    Raises:
        ValueError: The checkpoints do not hold the same files and tensors.
    """
    found: dict[str, torch.Tensor] = {}
    for file in _files(folders[0]):
        found |= _mean_of_file([folder / file for folder in folders])
    return found


def write_mean(folders: Sequence[Path], target: Path) -> None:
    """Replace the weights in `target`, which is a copy of the first, by the mean of all.

    Files are replaced, never written into: they may be hard links to those of a checkpoint.
    """
    for file in _files(folders[0]):
        temporary = target / f"{file}.tmp"
        save_file(
            _mean_of_file([folder / file for folder in folders]),
            temporary,
            metadata={"format": "pt"},
        )
        temporary.replace(target / file)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(_WEIGHTS))


def _mean_of_file(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    opened: list[Any] = [safe_open(file, framework="pt") for file in files]  # mapped, not read
    names = set(opened[0].keys())
    if any(set(one.keys()) != names for one in opened):
        raise ValueError(f"{files[0].name} does not hold the same tensors in every checkpoint")
    for name in sorted(names):
        first = opened[0].get_tensor(name)
        if not first.is_floating_point():
            found[name] = first
            continue
        total = first.to(torch.promote_types(first.dtype, torch.float32), copy=True)
        for one in opened[1:]:
            total += one.get_tensor(name)
        found[name] = (total / len(files)).to(first.dtype)
    return found
