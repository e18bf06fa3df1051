"""Puts examples of different lengths into one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

IGNORED = -100


@dataclass(frozen=True)
class Collator:
    """Pads `input_ids` and `labels` on the right, to the longest example of the batch.

    Attributes:
        pad_id: Token id to pad with. What is padded is masked by its place, not by this id.
    """

    pad_id: int

    def __call__(self, items: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and `labels` as tensors."""
        shape = (len(items), max(len(item["input_ids"]) for item in items))
        ids = torch.full(shape, self.pad_id, dtype=torch.long)
        labels = torch.full(shape, IGNORED, dtype=torch.long)
        attention = torch.zeros(shape, dtype=torch.long)
        for row, item in enumerate(items):
            length = len(item["input_ids"])
            ids[row, :length] = torch.tensor(item["input_ids"], dtype=torch.long)
            labels[row, :length] = torch.tensor(item["labels"], dtype=torch.long)
            attention[row, :length] = 1
        return {"input_ids": ids, "attention_mask": attention, "labels": labels}
