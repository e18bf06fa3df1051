"""A batch of several forward passes: where its documents stand, and how it is taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from accelerate.utils import send_to_device  # type: ignore[import-untyped]
from torch.nn import functional

from ftadvise_trainer.data.packing import Layout, pack, width

if TYPE_CHECKING:
    from collections.abc import Iterator

IGNORED = -100

Batch = dict[str, Any]


def trained_places(labels: torch.Tensor) -> torch.Tensor:
    """Return the places of a flattened batch whose next token is trained.

    Args:
        labels: Shape (rows, tokens), -100 where not trained.

    Returns:
        Shape (places,), int64.
    """
    following = functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    return following.flatten().ne(IGNORED).nonzero().flatten()


def is_packed(batch: Any) -> bool:
    """Return whether a batch comes from a `PackedCollator`."""
    return "cu_seq_lens" in batch


def forwards(batch: Batch) -> list[Batch]:
    """Return what the model is given in each forward pass of a batch.

    For a packed row that is what transformers passes on to attention functions, and no cache: with
    one, transformers would not look where the documents of a row begin.
    """
    if is_packed(batch):
        return list(_rows(batch))
    if "sizes" in batch:
        return list(groups(batch))
    return [{name: value for name, value in batch.items() if name != "counts"}]


def blank(batch: Batch, pad_id: int) -> Batch:
    """Return a forward pass in which nothing is trained, shaped as the shortest of a packed batch."""
    tokens = min(cast("list[int]", batch["widths"]))
    like = cast("torch.Tensor", batch["input_ids"])[:1, :tokens]
    row = {"input_ids": torch.full_like(like, pad_id), "labels": torch.full_like(like, IGNORED)}
    made = with_places(row, [[]], [tokens])
    return next(_rows(cast("Batch", send_to_device(made, like.device))))


def too_wide(batch: Batch, layout: Layout) -> bool:
    """Return whether a packed batch has rows that are too long for `layout` and can be divided."""
    if not is_packed(batch) or layout.row_tokens is None:
        return False
    documents = cast("list[list[int]]", batch["documents"])
    return any(len(row) > 1 and sum(row) > layout.row_tokens for row in documents)


def relaid(batch: Batch, layout: Layout) -> Batch:
    """Return a packed batch in rows of `layout.row_tokens` tokens instead."""
    pieces: list[tuple[torch.Tensor, torch.Tensor]] = []
    for row, lengths in enumerate(cast("list[list[int]]", batch["documents"])):
        start = 0
        for length in lengths:
            place = (row, slice(start, start + length))
            pieces.append((batch["input_ids"][place], batch["labels"][place]))
            start += length
    lengths = [ids.numel() for ids, _ in pieces]
    rows = pack(lengths, layout.row_tokens or max(lengths))
    documents = [[lengths[place] for place in row] for row in rows]
    widths = [width(sum(row), layout.multiple) for row in documents]

    def stacked(which: int, filler: int) -> torch.Tensor:
        long = [torch.cat([pieces[place][which] for place in row]) for row in rows]
        return torch.stack(
            [functional.pad(one, (0, max(widths) - one.numel()), value=filler) for one in long]
        )

    tensors = {"input_ids": stacked(0, layout.pad_id), "labels": stacked(1, IGNORED)}
    made = with_places(tensors, documents, widths)
    return cast("Batch", send_to_device(made, tensors["input_ids"].device))


def with_places(
    tensors: dict[str, torch.Tensor], documents: list[list[int]], widths: list[int]
) -> Batch:
    """Add to rows of tokens where their documents stand."""
    positions = np.zeros((len(widths), max(widths)), dtype=np.int64)
    ends: list[torch.Tensor] = []
    longest: list[int] = []
    for row, (lengths, tokens) in enumerate(zip(documents, widths, strict=True)):
        padding = tokens - sum(lengths)
        parts = [*lengths, padding] if padding else lengths
        positions[row, :tokens] = np.concatenate([np.arange(part) for part in parts])
        ends.append(torch.tensor([0, *parts]).cumsum(0).to(torch.int32))
        longest.append(max(parts))
    return {
        **tensors,
        "position_ids": torch.from_numpy(positions),
        "places": [
            trained_places(tensors["labels"][row : row + 1, :tokens])
            for row, tokens in enumerate(widths)
        ],
        "documents": documents,
        "widths": widths,
        "cu_seq_lens": ends,
        "max_length": longest,
    }


def _rows(batch: Batch) -> Iterator[Batch]:
    for row, tokens in enumerate(cast("list[int]", batch["widths"])):
        ends, longest = batch["cu_seq_lens"][row], batch["max_length"][row]
        yield {
            **{
                name: batch[name][row : row + 1, :tokens]
                for name in ("input_ids", "labels", "position_ids")
            },
            "cu_seq_lens_q": ends,
            "cu_seq_lens_k": ends,
            "max_length_q": longest,
            "max_length_k": longest,
            "use_cache": False,
            "places": batch["places"][row],
        }


def groups(batch: Batch) -> Iterator[Batch]:
    """Yield the groups of a batch that was padded as a whole, each as long as it needs to be."""
    start = 0
    for place, (size, tokens) in enumerate(zip(batch["sizes"], batch["widths"], strict=True)):
        end = start + size
        group = {
            name: batch[name][start:end, :tokens]
            for name in ("input_ids", "attention_mask", "labels")
        }
        yield group | ({"places": batch["places"][place]} if "places" in batch else {})
        start = end
