"""Our kernels for attention over documents give what dense attention gives, forward and backward."""

from __future__ import annotations

import itertools
import os

import pytest
import torch

# Without a GPU, Triton's interpreter runs them; neither is on a machine without Triton.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from ftadvise_trainer.speed.attention_dense import dense
from ftadvise_trainer.speed.document_attention import attend_documents

# Of Triton's interpreter, which reads where a loop ends from an array; numpy >= 2.4 refuses it.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROWS = {
    "one document": [200],
    "a whole number of blocks": [100, 156],
    "long and short ones": [5, 7, 130, 3, 64, 61],
    "a hundred of one token": [*[1] * 100, 28],
}

Tensors = tuple[torch.Tensor, ...]


def layer(lengths: list[int], heads: int, keys: int, width: int, dtype: torch.dtype) -> Tensors:
    draws = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(n, sum(lengths), width, generator=draws).to(DEVICE, dtype).transpose(0, 1)
        for n in (heads, keys, keys, heads)
    )


def ours(made: Tensors, ends: torch.Tensor, window: int | None) -> Tensors:
    query, key, value = (x.detach().requires_grad_() for x in made[:3])
    out = attend_documents(query, key, value, ends, window)
    return out, *torch.autograd.grad(out, (query, key, value), made[3])


def true(made: Tensors, ends: torch.Tensor, window: int | None) -> Tensors:
    wide = [x.detach().double().transpose(0, 1)[None].requires_grad_() for x in made[:3]]
    out = dense(wide[0], wide[1], wide[2], ends, window)
    found = torch.autograd.grad(out, wide, made[3].double().transpose(0, 1)[None])
    return tuple(x[0].transpose(0, 1) for x in (out, *found))


@pytest.mark.parametrize("window", [None, 33])
@pytest.mark.parametrize(("heads", "keys", "width"), [(4, 2, 32), (2, 2, 64), (2, 1, 128)])
@pytest.mark.parametrize("lengths", ROWS.values(), ids=ROWS)
def test_values_and_gradients_are_those_of_dense_attention(
    lengths: list[int], heads: int, keys: int, width: int, window: int | None
) -> None:
    # The interpreter has no products of bfloat16.
    dtype = torch.bfloat16 if DEVICE == "cuda" else torch.float32
    made = layer(lengths, heads, keys, width, dtype)
    ends = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32, device=DEVICE)

    for found, wanted in zip(ours(made, ends, window), true(made, ends, window), strict=True):
        apart = (found.double() - wanted).norm() / wanted.norm()
        assert apart < (1e-2 if dtype == torch.bfloat16 else 1e-5)


def test_half_precision_is_as_exact_as_it_can_be() -> None:
    made = layer([100, 156], 2, 1, 32, torch.float16)
    ends = torch.tensor([0, 100, 256], dtype=torch.int32, device=DEVICE)

    for found, wanted in zip(ours(made, ends, None), true(made, ends, None), strict=True):
        assert (found.double() - wanted).norm() / wanted.norm() < 2e-3


def test_what_one_document_holds_changes_nothing_in_another() -> None:
    made = layer([40, 60], 2, 1, 32, torch.float32 if DEVICE == "cpu" else torch.bfloat16)
    ends = torch.tensor([0, 40, 100], dtype=torch.int32, device=DEVICE)
    other = [x.clone() for x in made]
    for tensor in other[:3]:
        tensor[:40] = 9.0

    before, after = (ours(tuple(x), ends, None)[0][40:] for x in (made, other))

    assert torch.equal(before, after)
