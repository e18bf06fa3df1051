"""Which examples make which step: a pure function of seed, epoch, step and batch size.

With `training.batch_size` an optimizer step is so many examples over all processes, and 1, 2 or N
processes see the same ones, in the last and smaller step of an epoch too: none is seen twice, and
a rank that is left without any takes part with a row in which nothing is trained. The order is
that of accelerate's seeded sampler, so that one process sees what it sees without `batch_size`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset, Sampler

from ftadvise_trainer.data.packing import Layout, Row, group, pack, pack_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@functools.lru_cache(maxsize=2)
def order_of(examples: int, seed: int, epoch: int) -> tuple[int, ...]:
    """Return the order of the examples in an epoch, counted from 0."""
    generator = torch.Generator().manual_seed(seed + epoch)
    return tuple(torch.randperm(examples, generator=generator).tolist())


@dataclass(frozen=True)
class Plan:
    """The steps of a run.

    Attributes:
        lengths: Tokens of each example.
        layout: How they are laid out; its `batch_size` is given.
        seed: Of the order.
        ranks: Number of processes.
        shuffled: Whether the order is drawn anew in each epoch; else it is that of the data.
    """

    lengths: tuple[int, ...]
    layout: Layout
    seed: int
    ranks: int
    shuffled: bool = True

    @property
    def batch_size(self) -> int:
        """Examples in an optimizer step, over all processes."""
        return self.layout.batch_size or 1

    @property
    def steps(self) -> int:
        """Optimizer steps in an epoch."""
        return max(math.ceil(len(self.lengths) / self.batch_size), 1)

    def examples(self, epoch: int, step: int) -> tuple[int, ...]:
        """Return the examples of a step, over all processes."""
        chosen = slice(step * self.batch_size, (step + 1) * self.batch_size)
        if not self.shuffled:
            return tuple(range(len(self.lengths))[chosen])
        return order_of(len(self.lengths), self.seed, epoch)[chosen]

    def rows(self, epoch: int, step: int) -> list[Row]:
        """Return the rows of a step, over all processes: as many for each of them."""
        chosen = self.examples(epoch, step)
        lengths = [self.lengths[example] for example in chosen]
        if self.layout.row_tokens is None:
            rows = group(lengths, self.layout.examples, ranks=self.ranks)
        else:
            rows = pack(lengths, self.layout.row_tokens, ranks=self.ranks)
        return [tuple(chosen[place] for place in row) for row in rows]

    def rows_of_rank(self, epoch: int, step: int, rank: int) -> list[Row]:
        """Return the rows of one process; at the same place, those of all are about as long."""
        return self.rows(epoch, step)[rank :: self.ranks]


class StepSampler(Sampler[list[Row]]):
    """A batch sampler for one process: each of its batches is that process's rows of a step.

    transformers tells it the epoch through `accelerate`, which looks for `set_epoch` here or, when
    batches are skipped on a resume, at the `sampler` of the batch sampler that it has wrapped.
    """

    def __init__(self, plan: Plan, rank: int) -> None:
        """Begin with the first epoch."""
        self.plan = plan
        self.rank = rank
        self.epoch = 0

    @property
    def sampler(self) -> StepSampler:
        """Itself."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Steps in an epoch."""
        return self.plan.steps

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield the rows of each step."""
        epoch = self.epoch
        for step in range(len(self)):
            yield self.plan.rows_of_rank(epoch, step, self.rank)


class RowSampler(Sampler[list[Row]]):
    """A batch sampler that goes through a whole dataset in packed rows, one to a batch.

    Every process has as many; the last may be empty.
    """

    def __init__(self, lengths: Sequence[int], budget: int, ranks: int, rank: int) -> None:
        """Pack the examples of these lengths into rows of `budget` tokens."""
        self.rows = pack_all(lengths, budget, ranks=ranks)[rank::ranks]

    def __len__(self) -> int:
        """Rows of this process."""
        return len(self.rows)

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield them one by one."""
        for row in self.rows:
            yield [row]


class ByRow(Dataset[Any]):
    """A dataset that gives one example for its place, and a list of them for a row of places."""

    def __init__(self, dataset: Any) -> None:
        """Look at `dataset`; a `TokenDataset` gives examples of a row as arrays."""
        self.examples = dataset
        self.example: Callable[[int], Any] = getattr(dataset, "example", dataset.__getitem__)

    def __len__(self) -> int:
        """Examples, not rows."""
        return len(self.examples)

    def __getitem__(self, place: int | Row) -> Any:
        """Return an example, or those of a row."""
        if isinstance(place, tuple):
            return [self.example(one) for one in place]
        return self.examples[place]


def lengths_of(dataset: Any) -> tuple[int, ...]:
    """Return the number of tokens of each example."""
    known = getattr(dataset, "lengths", None)
    if known is not None:
        return tuple(int(length) for length in known)
    return tuple(len(dataset[place]["input_ids"]) for place in range(len(dataset)))
