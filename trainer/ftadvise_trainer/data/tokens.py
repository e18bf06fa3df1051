"""Examples as tokens: a dataset for torch that keeps them in two flat arrays."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

IGNORED = -100


class TokenDataset(Dataset[dict[str, list[int]]]):
    """Token ids and labels; a label is -100 where nothing is trained.

    The first label of an example is always -100: no token stands before it to predict it from, so
    that `trained_tokens` is the same before and after the shift.
    """

    def __init__(self, rows: Iterable[tuple[list[int], NDArray[np.bool_]]]) -> None:
        """Store the token ids and the mask of the trained ones of each example."""
        ids: list[NDArray[np.int32]] = []
        trained: list[NDArray[np.bool_]] = []
        for row_ids, row_trained in rows:
            ids.append(np.array(row_ids, dtype=np.int32))
            trained.append(np.concatenate([[False], row_trained[1:]]).astype(np.bool_))
        self.lengths: list[int] = [row.size for row in ids]
        """Tokens in each example."""
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        self._ids = np.concatenate(ids) if ids else np.zeros(0, np.int32)
        self._trained = np.concatenate(trained) if trained else np.zeros(0, np.bool_)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        start, end = self._starts[index % len(self)], self._starts[index % len(self) + 1]
        ids = self._ids[start:end]
        labels = np.where(self._trained[start:end], ids, IGNORED)
        return {"input_ids": ids.tolist(), "labels": labels.tolist()}

    @property
    def total_tokens(self) -> int:
        """Tokens in all examples."""
        return int(self._ids.size)

    @property
    def trained_tokens(self) -> int:
        """Tokens with a label."""
        return int(self._trained.sum())

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the token ids, the mask and where the examples begin."""
        digest = hashlib.sha256()
        for array in (self._starts.astype("<i8"), self._ids.astype("<i4"), self._trained):
            digest.update(array.tobytes())
        return digest.hexdigest()
