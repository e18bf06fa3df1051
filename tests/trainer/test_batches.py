"""The examples of a step, on any number of processes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ftadvise_trainer.data.batches import (
    ByRow,
    Plan,
    RowSampler,
    StepSampler,
    lengths_of,
    order_of,
)
from ftadvise_trainer.data.packing import Layout

PACKED = Layout(pad_id=0, row_tokens=60, batch_size=8)
PADDED = Layout(pad_id=0, batch_size=8, examples=3)
LENGTHS = tuple(
    int(x) for x in torch.randint(3, 40, (45,), generator=torch.Generator().manual_seed(0))
)


def seen(layout: Layout, ranks: int, epoch: int, step: int) -> list[int]:
    """Return the examples that all ranks together see in a step."""
    plan = Plan(LENGTHS, layout, seed=3, ranks=ranks)
    rows = [plan.rows_of_rank(epoch, step, rank) for rank in range(ranks)]
    assert len({len(own) for own in rows}) == 1
    return sorted(example for own in rows for row in own for example in row)


@pytest.mark.parametrize("layout", [PACKED, PADDED])
@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_any_number_of_processes_sees_the_same_examples_in_every_step(
    layout: Layout, ranks: int
) -> None:
    for epoch, step in itertools.product(range(2), range(6)):
        assert seen(layout, ranks, epoch, step) == seen(layout, 1, epoch, step)


@given(st.integers(1, 70), st.integers(1, 9), st.integers(1, 4), st.booleans())
@settings(max_examples=50)
def test_an_epoch_has_every_example_once(
    examples: int, batch_size: int, ranks: int, packed: bool
) -> None:
    layout = Layout(0, 50 if packed else None, batch_size=batch_size, examples=2)
    plan = Plan(tuple(range(1, examples + 1)), layout, seed=0, ranks=ranks)
    every = [
        example
        for step in range(plan.steps)
        for rank in range(ranks)
        for row in plan.rows_of_rank(0, step, rank)
        for example in row
    ]
    assert sorted(every) == list(range(examples))


def test_the_order_is_that_of_accelerate() -> None:
    data_loader: Any = pytest.importorskip("accelerate.data_loader")
    sampler = data_loader.SeedableRandomSampler(range(45), data_seed=3)
    for epoch in (0, 4):
        sampler.set_epoch(epoch)
        assert order_of(45, 3, epoch) == tuple(sampler)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    assert len({order_of(45, 3, 0), order_of(45, 3, 1), order_of(45, 5, 0)}) == 3


def test_without_shuffling_the_order_is_that_of_the_data() -> None:
    plan = Plan(LENGTHS, PACKED, seed=3, ranks=1, shuffled=False)
    assert plan.examples(epoch=1, step=5) == (40, 41, 42, 43, 44)


def test_a_rank_that_is_left_without_an_example_has_an_empty_row() -> None:
    plan = Plan((5, 6), Layout(0, 100, batch_size=8), seed=0, ranks=3)
    rows = [plan.rows_of_rank(0, 0, rank) for rank in range(3)]
    assert sorted(rows) == [[()], [(0,)], [(1,)]]


def test_the_sampler_gives_a_batch_for_each_step_in_the_order_of_its_epoch() -> None:
    plan = Plan(LENGTHS, PACKED, seed=3, ranks=2)
    sampler = StepSampler(plan, rank=1)
    assert len(sampler) == 6
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        assert list(sampler) == [plan.rows_of_rank(epoch, step, 1) for step in range(6)]


def test_a_whole_dataset_is_gone_through_in_as_many_rows_on_each_rank() -> None:
    samplers = [RowSampler(LENGTHS, 200, ranks=3, rank=rank) for rank in range(3)]
    assert len({len(sampler) for sampler in samplers}) == 1
    every = [e for sampler in samplers for batch in sampler for row in batch for e in row]
    assert sorted(every) == list(range(45))


def test_a_dataset_by_rows_gives_examples_and_rows_of_them() -> None:
    view = ByRow(["a", "b", "c"])
    assert (len(view), view[1], view[(2, 0)], view[()]) == (3, "b", ["c", "a"], [])


def test_lengths_are_known_or_counted() -> None:
    class Known:
        lengths = (4, 5)

    assert lengths_of(Known()) == (4, 5)
    assert lengths_of([{"input_ids": [1, 2, 3]}, {"input_ids": []}]) == (3, 0)
