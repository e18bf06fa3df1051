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
        self._set(
            np.concatenate([[0], np.cumsum([row.size for row in ids])]).astype(np.int64),
            np.concatenate(ids) if ids else np.zeros(0, np.int32),
            np.concatenate(trained) if trained else np.zeros(0, np.bool_),
        )

    @classmethod
    def of_arrays(
        cls, starts: NDArray[np.int64], ids: NDArray[np.int32], trained: NDArray[np.bool_]
    ) -> TokenDataset:
        """Return the dataset that gave these `arrays`, which may be mapped from a file.

        Raises:
            ValueError: They do not go together.
        """
        ends = starts.size and starts[0] == 0 and starts[-1] == ids.size == trained.size
        if not ends or (np.diff(starts) < 0).any():
            raise ValueError("no token dataset has such arrays")
        made = cls(())
        made._set(starts, ids, trained)
        return made

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.bool_]]:
        """Return where the examples begin and end, the token ids, and which are trained."""
        return self._starts, self._ids, self._trained

    def _set(
        self, starts: NDArray[np.int64], ids: NDArray[np.int32], trained: NDArray[np.bool_]
    ) -> None:
        self.lengths: list[int] = np.diff(starts).tolist()
        """Tokens in each example."""
        self._starts, self._ids, self._trained = starts, ids, trained

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {name: array.tolist() for name, array in self.example(index).items()}

    def example(self, index: int) -> dict[str, NDArray[np.int32]]:
        """Return an example as arrays, which are quicker to make than lists."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        start, end = self._starts[index % len(self)], self._starts[index % len(self) + 1]
        ids = self._ids[start:end]
        return {
            "input_ids": ids,
            "labels": np.where(self._trained[start:end], ids, np.int32(IGNORED)),
        }

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
