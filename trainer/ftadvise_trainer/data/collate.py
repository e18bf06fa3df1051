"""Puts examples of different lengths into one batch: padded, or packed end to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from ftadvise_trainer.data.packing import Layout, pack, width
from ftadvise_trainer.data.rows import IGNORED, Batch, groups, trained_places, with_places

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Example = dict[str, list[int]]


Counts = dict[str, int]
"""What a batch holds, counted where it is made, so that no device has to be asked: `tokens` of
examples, `padding` (places without one), `rows` (forward passes), `trained` (labels other than
-100), `squares` (sum of the squares of the lengths of the examples, which attention costs)."""


@dataclass(frozen=True)
class Collator:
    """Pads `input_ids` and `labels` on the right, to the longest example of the batch.

    Attributes:
        pad_id: Token id to pad with. What is padded is masked by its place, not by this id.
    """

    pad_id: int

    def __call__(self, items: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and `labels` as tensors."""
        shape = (len(items), max(len(item["input_ids"]) for item in items))
        ids = torch.full(shape, self.pad_id, dtype=torch.long)
        labels = torch.full(shape, IGNORED, dtype=torch.long)
        attention = torch.zeros(shape, dtype=torch.long)
        for row, item in enumerate(items):
            length = len(item["input_ids"])
            ids[row, :length] = torch.as_tensor(item["input_ids"], dtype=torch.long)
            labels[row, :length] = torch.as_tensor(item["labels"], dtype=torch.long)
            attention[row, :length] = 1
        return {"input_ids": ids, "attention_mask": attention, "labels": labels}


@dataclass
class PackedCollator:
    """Lays examples end to end in rows.

    A batch has `input_ids`, `labels` and `position_ids` of shape (rows, widest row), int64, and
    lists with an entry for each row: `documents`, the tokens of its examples; `widths`, its own
    length, a multiple of `layout.multiple`; `cu_seq_lens`, where its documents begin and end
    (int32, from 0 to its length; the padding at its end is a document of its own); `max_length`,
    the longest of those; `places`, those in the row whose next token is trained. The first label of
    a document is -100: nothing predicts it. `counts` are as in `Counts`.
    """

    layout: Layout

    def __call__(self, items: Sequence[Example] | Sequence[Sequence[Example]]) -> Batch:
        """Collate the examples of a batch, or rows that are made up already."""
        if items and isinstance(items[0], dict):
            examples = cast("Sequence[Example]", items)
            lengths = [len(example["input_ids"]) for example in examples]
            rows = pack(lengths, self.layout.row_tokens or max(lengths))
            return self._packed([[examples[place] for place in row] for row in rows])
        return self._packed(cast("Sequence[Sequence[Example]]", items))

    def _packed(self, rows: Sequence[Sequence[Example]]) -> Batch:
        documents = [[len(example["input_ids"]) for example in row] for row in rows]
        widths = [width(sum(lengths), self.layout.multiple) for lengths in documents]
        shape = (len(rows), max(widths))
        ids = np.full(shape, self.layout.pad_id, dtype=np.int64)
        labels = np.full(shape, IGNORED, dtype=np.int64)
        for place, row in enumerate(rows):
            start = 0
            for example in row:
                end = start + len(example["input_ids"])
                ids[place, start:end] = example["input_ids"]
                labels[place, start:end] = example["labels"]
                labels[place, start] = IGNORED
                start = end
        tensors = {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}
        batch = with_places(tensors, documents, widths)
        every = [length for lengths in documents for length in lengths]
        batch["counts"] = {
            "tokens": sum(every),
            "padding": sum(widths) - sum(every),
            "rows": len(widths),
            "trained": int((labels != IGNORED).sum()),
            "squares": sum(length**2 for length in every),
        }
        return batch


@dataclass(frozen=True)
class GroupCollator:
    """Pads groups of examples, each of which is a forward pass of its own.

    A batch is that of a `Collator` over all of the groups, with lists that have an entry for each
    group: `sizes`, its examples; `widths`, the longest of them; `places`, as in a packed batch. An
    empty group is one token that is not trained.
    """

    layout: Layout

    def __call__(self, items: Sequence[Sequence[Example]]) -> Batch:
        """Collate groups."""
        blank: Example = {"input_ids": [self.layout.pad_id], "labels": [IGNORED]}
        rows = [list(row) or [blank] for row in items]
        batch: Batch = dict(Collator(self.layout.pad_id)([one for row in rows for one in row]))
        batch["labels"][:, 0] = IGNORED
        batch["sizes"] = [len(row) for row in rows]
        batch["widths"] = [max(len(one["input_ids"]) for one in row) for row in rows]
        blanks = sum(not row for row in items)
        if (counts := counted(batch)) is not None and blanks:
            counts["tokens"] -= blanks
            counts["padding"] += blanks
            counts["squares"] -= blanks
        batch["counts"] = counts
        batch["places"] = [trained_places(one["labels"]) for one in groups(batch)]
        return batch


def counted(batch: Batch) -> Counts | None:
    """Return the counts of a padded batch; None where it does not say what is padding."""
    mask, labels = batch.get("attention_mask"), batch.get("labels")
    if not isinstance(mask, torch.Tensor) or not isinstance(labels, torch.Tensor):
        return None
    if mask.dim() != 2 or mask.device.type != "cpu":
        return None
    lengths = cast("list[int]", mask.sum(dim=1).tolist())
    sizes, widths = batch.get("sizes", [mask.shape[0]]), batch.get("widths", [mask.shape[1]])
    places = sum(size * tokens for size, tokens in zip(sizes, widths, strict=True))
    return {
        "tokens": sum(lengths),
        "padding": places - sum(lengths),
        "rows": len(sizes),
        "trained": int(labels.ne(IGNORED).sum()),
        "squares": sum(length**2 for length in lengths),
    }


class FirstLabelIgnored:
    """A collator whose first label in each row is not trained, and that counts its batches.

    Nothing predicts the first token, so this changes no loss. It makes the number of labels the
    number of trained tokens, which transformers gets wrong for models it does not know.
    """

    def __init__(self, collator: Callable[[Any], Any]) -> None:
        """Wrap `collator`."""
        self.collator = collator

    def __call__(self, rows: Any) -> Any:
        """Collate `rows`."""
        batch = self.collator(rows)
        labels = batch.get("labels") if hasattr(batch, "get") else None
        if isinstance(labels, torch.Tensor) and labels.dim() > 1 and "shift_labels" not in batch:
            batch["labels"] = labels = labels.clone()  # it may be `input_ids` itself
            labels[..., 0] = IGNORED
        if isinstance(batch, dict) and (counts := counted(batch)) is not None:
            batch["counts"] = counts
            batch["places"] = trained_places(batch["labels"])
        return batch
