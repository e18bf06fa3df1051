"""A step whose losses or gradients were looked at, and the examples to name if they were not finite."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftadvise_trainer.callbacks.left_out import LeftOut

MOST_ROWS_SEARCHED = 1_000_000


@dataclass(frozen=True)
class OpenStep:
    """A step that was looked at on the device, and what it takes to name it.

    Attributes:
        answer: How the host learns of it; None where it has to wait.
        flag: Whether something was not finite, an int32 scalar on the device.
        signs: Of each micro-batch of this process.
        seen: The micro-batches.
        step: Number of the step.
        epoch: Where it began.
        dataset: That they are from.
    """

    answer: LeftOut | None
    flag: torch.Tensor
    signs: list[torch.Tensor]
    seen: list[tuple[torch.Tensor, Mapping[str, Any]]]
    step: int
    epoch: float | None
    dataset: Any


def offenders(step: OpenStep) -> list[dict[str, Any]]:
    """Describe the micro-batches of this process whose loss is not finite."""
    return [
        {"micro_batch": place, "of": len(step.signs), "loss": str(float(loss.mean()))}
        | _name(inputs, step.dataset)
        for place, (sign, (loss, inputs)) in enumerate(
            zip(step.signs, step.seen, strict=True), start=1
        )
        if bool(sign)
    ]


def _name(inputs: Mapping[str, Any], dataset: Any) -> dict[str, Any]:
    """Return what tells a batch from others: its rows in the dataset, and a hash of its tokens."""
    tokens = inputs.get("input_ids")
    if not isinstance(tokens, torch.Tensor):
        return {"rows": [], "sha256": ""}
    digest = hashlib.sha256(tokens.cpu().contiguous().numpy().tobytes()).hexdigest()
    return {"rows": _rows_with(_sequences(tokens, inputs), dataset), "sha256": digest[:16]}


def _sequences(tokens: torch.Tensor, inputs: Mapping[str, Any]) -> set[tuple[int, ...]]:
    """Return the examples of a batch, without their padding."""
    ends, mask = inputs.get("cu_seq_lens_q"), inputs.get("attention_mask")
    if isinstance(ends, torch.Tensor):  # packed: the examples lie end to end
        flat = cast("list[int]", tokens.flatten().tolist())
        bounds = cast("list[int]", ends.tolist())
        return {tuple(flat[start:end]) for start, end in itertools.pairwise(bounds)}
    table = cast("list[list[int]]", tokens.reshape(-1, tokens.shape[-1]).tolist())
    kept = [[1] * len(ids) for ids in table]
    if isinstance(mask, torch.Tensor) and mask.shape == tokens.shape:
        kept = cast("list[list[int]]", mask.reshape(-1, mask.shape[-1]).tolist())
    return {
        tuple(t for t, keep in zip(ids, flags, strict=True) if keep)
        for ids, flags in zip(table, kept, strict=True)
    }


def _rows_with(wanted: set[tuple[int, ...]], dataset: Any) -> list[int]:
    """Return where in `dataset` these token sequences stand; empty where it cannot be searched."""
    rows: list[int] = []
    try:
        for place in range(min(len(dataset), MOST_ROWS_SEARCHED)):
            if tuple(dataset[place]["input_ids"]) in wanted:
                rows.append(place)
    except (TypeError, KeyError, IndexError, NotImplementedError):
        return []
    return rows


def sentence(batch: dict[str, Any]) -> str:
    """Return what `offenders` found of a micro-batch in words."""
    rows = ", ".join(str(row) for row in batch["rows"][:20])
    where = f"training rows {rows}, " if rows else ""
    return (
        f"micro-batch {batch['micro_batch']} of {batch['of']} has loss {batch['loss']}: {where}"
        f"sha256 of its input_ids {batch['sha256']}"
    )
