"""A fused optimizer leaves out the step that it is told to leave out, and nobody waits for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ftadvise_trainer.callbacks.left_out import leaving_out

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def stepped(optimizer: torch.optim.Optimizer, bad: bool) -> tuple[bool, bool]:
    """Take a step; return whether it is said to be left out, and whether weights changed."""
    [weight] = optimizer.param_groups[0]["params"]
    weight.grad = torch.full_like(weight, float("nan") if bad else 0.5)
    before = weight.detach().clone()
    answer = leaving_out(optimizer, torch.tensor(int(bad), dtype=torch.int32, device=DEVICE))
    assert answer is not None
    optimizer.step()
    return answer.read(), not torch.equal(weight, before)


def adamw(**how: Any) -> torch.optim.AdamW:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(50, device=DEVICE))
    return torch.optim.AdamW([weight], lr=0.1, **how)


def test_a_step_that_is_left_out_leaves_weights_moments_and_count_as_they_were() -> None:
    optimizer = adamw(fused=True)
    assert [stepped(optimizer, bad) for bad in (False, True)] == [(False, True), (True, False)]
    [state] = optimizer.state.values()
    assert float(state["step"]) == 1.0
    assert all(bool(tensor.isfinite().all()) for tensor in state.values())


def test_steps_that_are_not_left_out_are_those_of_an_optimizer_that_was_never_told() -> None:
    told, untold = adamw(fused=True), adamw(fused=True)
    for _ in range(3):
        stepped(told, bad=False)
        [weight] = untold.param_groups[0]["params"]
        weight.grad = torch.full_like(weight, 0.5)
        untold.step()
    assert torch.equal(told.param_groups[0]["params"][0], untold.param_groups[0]["params"][0])


@pytest.mark.parametrize("optimizer", [adamw(fused=False), torch.optim.SGD(adamw().param_groups)])
def test_an_optimizer_that_cannot_be_told_is_not(optimizer: Any) -> None:
    assert leaving_out(optimizer, torch.tensor(1, dtype=torch.int32, device=DEVICE)) is None
    assert getattr(optimizer, "found_inf", None) is None
