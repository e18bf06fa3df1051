"""Where a process's part of a parameter lies, by the placements that FSDP2 makes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributed.tensor import Replicate, Shard

from ftadvise_trainer.bf16.shards import first_element, local, replica


class Mesh:
    def __init__(self, sizes: tuple[int, ...], ranks: tuple[int, ...]) -> None:
        self.sizes, self.ranks = sizes, ranks

    def size(self, dimension: int) -> int:
        return self.sizes[dimension]

    def get_local_rank(self, dimension: int) -> int:
        return self.ranks[dimension]


class Spread:
    """What the code asks of a DTensor."""

    def __init__(self, whole: torch.Tensor, mesh: Mesh, *placements: Any) -> None:
        self.whole, self.device_mesh, self.placements = whole, mesh, placements
        self.shape = whole.shape

    def numel(self) -> int:
        return self.whole.numel()

    def to_local(self) -> torch.Tensor:
        part = self.whole
        for i, placement in enumerate(self.placements):
            if placement.is_shard():
                size, rank = self.device_mesh.size(i), self.device_mesh.get_local_rank(i)
                parts = part.chunk(size, placement.dim)
                part = parts[rank] if rank < len(parts) else part[:0]
        return part


WHOLE = torch.arange(7 * 6).view(7, 6)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8])
def test_the_first_element_of_a_shard_is_found_also_when_rows_do_not_divide(size: int) -> None:
    for rank in range(size):
        spread = Spread(WHOLE, Mesh((size,), (rank,)), Shard(0))
        part = local(spread)
        if part.numel():
            assert first_element(spread) == int(part[0, 0])
        assert replica(spread) == 0


def test_replicas_of_a_shard_have_the_same_place() -> None:
    spreads = [Spread(WHOLE, Mesh((2, 2), (copy, 1)), Replicate(), Shard(0)) for copy in (0, 1)]
    assert [first_element(s) for s in spreads] == [24, 24]
    assert [replica(s) for s in spreads] == [0, 0]


@pytest.mark.parametrize("placements", [(Replicate(), Shard(1)), (Shard(0), Shard(0))], ids=str)
def test_parts_cut_otherwise_are_told_apart(placements: tuple[Any, ...]) -> None:
    numbers = {
        (i, j): replica(Spread(WHOLE, Mesh((2, 2), (i, j)), *placements))
        for i in range(2)
        for j in range(2)
    }
    alike = placements[0].is_replicate()
    assert len(set(numbers.values())) == (2 if alike else 4)
    if alike:
        assert numbers[0, 1] == numbers[1, 1]


def test_a_plain_tensor_begins_with_its_first_element() -> None:
    assert (first_element(WHOLE), replica(WHOLE)) == (0, 0)
    assert local(WHOLE) is WHOLE
