"""Triton's kernel for the loss of a piece of logits gives what the eager way gives."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
import torch

# Without a GPU, Triton's interpreter runs it; neither is on a machine without Triton.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from ftadvise_trainer.speed.chunk_kernel import one_kernel
from ftadvise_trainer.speed.chunk_loss import eager

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CASES = list(itertools.product((7, 4096, 10001), (None, 5.0), (1.0, 0.3)))


def logits(rows: int, vocabulary: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(rows * vocabulary)
    made = (torch.randn(rows, vocabulary, generator=draws) * 4).to(DEVICE, dtype)
    return made, torch.randint(0, vocabulary, (rows,), generator=draws).to(DEVICE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("vocabulary", "cap", "scale"), CASES)
def test_loss_and_gradient_are_those_of_the_eager_way(
    vocabulary: int, cap: float | None, scale: float, dtype: torch.dtype
) -> None:
    ours, targets = logits(5, vocabulary, dtype)
    theirs = ours.clone()

    found = one_kernel(ours, targets, scale, cap, True)
    true = eager(theirs, targets, scale, cap, True)

    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5 if dtype == torch.float32 else 5e-3}
    torch.testing.assert_close(found, true, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(ours, theirs, **close)


def test_without_a_gradient_the_logits_are_left_alone() -> None:
    given, targets = logits(3, 50, torch.float32)
    before = given.clone()

    one_kernel(given, targets, 1.0, None, False)

    assert torch.equal(given, before)


def test_a_logit_that_is_no_number_shows_in_the_loss_of_its_row_alone() -> None:
    given, targets = logits(3, 50, torch.float32)
    given[1, 7] = float("nan")

    assert one_kernel(given, targets).isfinite().tolist() == [True, False, True]
