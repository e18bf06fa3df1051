"""Neighbouring rows become one, and what is not one of many stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftadvise.readers.series.keys import meaning
from ftadvise.readers.series.thinning import Block, Cells, joined, paired


def block(**columns: list[float | None]) -> Block:
    size = max(map(len, columns.values()))
    cells: dict[str, Cells] = {}
    for name, values in columns.items():
        there = [place for place, value in enumerate(values) if value is not None]
        array = np.array([value for value in values if value is not None], dtype=np.float64)
        cells[name] = Cells(meaning(name), np.array(there, dtype=np.int64), array)
    return Block(np.ones(size, dtype=np.int64), cells)


def test_pairs_take_the_mean_loss_the_last_step_and_the_largest_gradient() -> None:
    made = paired(
        block(step=[1, 2, 3, 4, 5], loss=[4, 2, 3, 1, 9], grad_norm=[7, 1, 1, 2, 1]), weight=1
    )
    assert made.weight.tolist() == [2, 2, 1]
    assert made.columns["step"].value.tolist() == [2, 4, 5]
    assert made.columns["loss"].value.tolist() == [3, 2, 9]
    assert made.columns["grad_norm"].value.tolist() == [7, 2, 1]


def test_what_is_no_neighbour_is_not_averaged() -> None:
    nan = float("nan")
    made = paired(
        block(step=[1, 2, 9, 3, 4], loss=[4, nan, 3, 1, 2], eval_loss=[None, None, None, None, 5]),
        weight=1,
    )
    # 2 is NaN, 5 has an evaluation, 3 lies before 9: only 1 and 9 are a pair.
    assert made.columns["step"].value.tolist() == [2, 9, 3, 4]
    assert made.columns["loss"].value.tolist()[1:] == [3.5, 1, 2]
    assert made.columns["eval_loss"].index.tolist() == [3]


def test_rows_before_and_after_a_step_back_are_not_averaged() -> None:
    assert paired(block(step=[8, 9, 5, 6], loss=[4, 3, 2, 1]), weight=1).weight.tolist() == [2, 2]
    assert paired(block(step=[9, 5], loss=[4, 3]), weight=1).weight.tolist() == [1, 1]
    assert paired(block(step=[9, 5], loss=[4, 3]), weight=1, force=True).weight.tolist() == [2]


@given(
    loss=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60),
    held_out=st.lists(st.none() | st.floats(-1e6, 1e6), max_size=60),
    force=st.booleans(),
)
def test_pairing_keeps_the_sum_over_all_rows_and_every_evaluation(
    loss: list[float | None], held_out: list[float | None], force: bool
) -> None:
    held_out = (held_out + [None] * 60)[: len(loss)]
    before = block(step=[float(s) for s in range(len(loss))], loss=loss, eval_loss=held_out)
    after = paired(paired(joined([before]), 1, force), 2, force)
    assert after.weight.sum() == before.weight.sum()
    for name in ("loss",) if not force else ("loss", "eval_loss"):
        cells = after.columns[name]
        total = float((cells.value * after.weight[cells.index]).sum())
        if None not in (loss if name == "loss" else held_out):
            assert total == pytest.approx(before.columns[name].value.sum(), abs=1e-3)
    if not force:
        kept = after.columns["eval_loss"].value.tolist()
        assert kept == before.columns["eval_loss"].value.tolist()
    else:
        assert after.size <= len(loss) // 4 + 12
