"""AdamW for bfloat16 weights keeps what rounding to the nearest loses, and can be resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import arguments, pad, ragged_dataset, tiny_model, weights

from ftadvise_plugins.qwen import QWEN
from ftadvise_trainer.bf16 import optimizer as optimizers
from ftadvise_trainer.bf16.optimizer import Bf16AdamW, optimizer_for
from ftadvise_trainer.config import Config, LoraSettings, TrainingConfig
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.lora import with_lora

SHAPES = ((8, 16), (8, 16), (16, 8), (8, 16), (128,), (8, 16), (7, 3, 2), (1,), ())
Make = Callable[[Any], Any]


class Course:
    """Parameters that get the same gradients in every run, step by step."""

    def __init__(self, make: Make, dtype: Any = torch.bfloat16) -> None:
        generator = torch.Generator().manual_seed(0)
        start = [torch.randn(shape, generator=generator) for shape in SHAPES]
        self.parameters = [torch.nn.Parameter(t.bfloat16().to(dtype)) for t in start]
        self.optimizer = make(self.parameters)

    def go(self, first: int, last: int) -> Course:
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            for weight in self.parameters:
                grad = torch.randn(weight.shape, generator=generator)
                weight.grad = grad.to(weight.dtype)
            self.optimizer.step()
        return self

    def equals(self, other: Course) -> bool:
        pairs = zip(self.parameters, other.parameters, strict=True)
        return all(torch.equal(one, two) for one, two in pairs)


def made(**more: Any) -> Make:
    settings: dict[str, Any] = {"lr": 1e-2, "weight_decay": 0.1} | more
    return lambda params: Bf16AdamW(params, **settings)


def both(test: Any) -> Any:
    return pytest.mark.parametrize("updates", ["stochastic", "kahan"])(test)


def test_float32_weights_are_updated_as_by_torch() -> None:
    def torchs(params: Any) -> Any:
        return torch.optim.AdamW(params, lr=1e-2, weight_decay=0.1)

    wanted = Course(torchs, torch.float32).go(0, 20)
    found = Course(made(), torch.float32).go(0, 20)
    for one, two in zip(wanted.parameters, found.parameters, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("updates", "within"), [("stochastic", 0.1), ("kahan", 0.013)])
def test_bfloat16_weights_follow_float32(updates: str, within: float) -> None:
    wanted = Course(made(), torch.float32).go(0, 20)
    found = Course(made(updates=updates)).go(0, 20)
    for one, two in zip(wanted.parameters, found.parameters, strict=True):
        torch.testing.assert_close(one, two.float(), rtol=0, atol=within)


def after_small_updates(make: Make) -> Any:
    """4,096 weights of 1 after 100 steps of 1e-4 down; the nearest bfloat16 is 4e-3 away."""
    weight = torch.nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
    optimizer = make([weight])
    for _ in range(100):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    return weight.detach().double()


def test_updates_that_the_nearest_loses_are_kept() -> None:
    def torchs(params: Any) -> Any:
        return torch.optim.AdamW(params, lr=1e-4, weight_decay=0.0)

    assert set(after_small_updates(torchs).tolist()) == {1.0}
    stochastic = after_small_updates(lambda params: Bf16AdamW(params, lr=1e-4))
    assert float(stochastic.mean()) == pytest.approx(0.99, abs=4e-4)
    kahan = after_small_updates(lambda params: Bf16AdamW(params, lr=1e-4, updates="kahan"))
    assert set(kahan.tolist()) == {float(torch.tensor(0.99).bfloat16())}


def test_the_second_moment_falls_when_gradients_do() -> None:
    def course(make: Make) -> float:
        weight = torch.nn.Parameter(torch.ones(512, dtype=torch.bfloat16))
        optimizer = make([weight])
        for step in range(1500):
            weight.grad = torch.full_like(weight, 1.0 if step < 500 else 0.01)
            optimizer.step()
        return float(optimizer.state[weight]["exp_avg_sq"].float().mean())

    def torchs(params: Any) -> Any:
        return torch.optim.AdamW(params, lr=0.0)

    wanted = (1 - 0.999**500) * 0.999**1000
    assert course(made(lr=0.0)) == pytest.approx(wanted, rel=0.03)
    assert course(torchs) > 2 * wanted  # what it is about: rounded to the nearest it stays


@both
def test_the_same_seed_gives_the_same_bits_and_another_gives_others(updates: str) -> None:
    once = Course(made(updates=updates, seed=3)).go(0, 5)
    torch.rand(7)  # the draws of others play no part
    before = torch.random.get_rng_state()
    again = Course(made(updates=updates, seed=3)).go(0, 5)
    assert once.equals(again)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not once.equals(Course(made(updates=updates, seed=4)).go(0, 5))


@both
def test_a_saved_and_loaded_state_goes_on_to_the_same_bits(updates: str, tmp_path: Path) -> None:
    whole = Course(made(updates=updates, seed=3)).go(0, 10)
    part = Course(made(updates=updates, seed=3)).go(0, 4)
    torch.save(part.optimizer.state_dict(), tmp_path / "optimizer.pt")

    resumed = Course(made(updates=updates, seed=8, lr=1.0))  # the saved seed and rate hold
    for old, new in zip(part.parameters, resumed.parameters, strict=True):
        new.data.copy_(old.data)
    state = torch.load(tmp_path / "optimizer.pt", weights_only=True)
    resumed.optimizer.load_state_dict(state)
    assert resumed.go(4, 10).equals(whole)


def test_states_have_the_type_of_their_weight_after_loading_too() -> None:
    course = Course(made(updates="kahan")).go(0, 1)
    course.optimizer.load_state_dict(course.optimizer.state_dict())
    for weight in course.parameters:
        state = course.optimizer.state[weight]
        assert state.keys() == {"step", "exp_avg", "exp_avg_sq", "compensation"}
        kinds = {name: tensor.dtype for name, tensor in state.items() if name != "step"}
        assert set(kinds.values()) == {torch.bfloat16}
        assert state["step"].device.type == "cpu"


def test_a_parameter_without_a_gradient_stays_and_changes_no_other() -> None:
    def step(skipped: int | None) -> list[Any]:
        course = Course(made())
        for i, weight in enumerate(course.parameters):
            weight.grad = None if i == skipped else torch.ones_like(weight)
        course.optimizer.step()
        return [weight.detach() for weight in course.parameters]

    start = Course(made()).parameters
    for i, (every, one_less) in enumerate(zip(step(None), step(2), strict=True)):
        assert torch.equal(one_less, start[i] if i == 2 else every)


def test_the_learning_rate_of_a_schedule_is_followed() -> None:
    course = Course(made(weight_decay=0.0))
    course.go(0, 2).optimizer.param_groups[0]["lr"] = 0.0
    before = [weight.detach().clone() for weight in course.parameters]
    course.go(2, 4)
    assert all(torch.equal(a, b) for a, b in zip(before, course.parameters, strict=True))


def test_wrong_arguments_and_sparse_gradients_are_refused() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 2, dtype=torch.bfloat16))
    wrongs: list[dict[str, Any]] = [{"updates": "nearest"}, {"lr": -1.0}, {"betas": (0.9, 1.0)}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"updates|at least 0"):
            Bf16AdamW([weight], **wrong)
    optimizer = Bf16AdamW([weight])
    weight.grad = torch.zeros(4, 2, dtype=torch.bfloat16).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        optimizer.step()


def test_a_compiler_that_fails_is_said_once_and_the_step_is_made_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*args: Any) -> None:
        raise FileNotFoundError("no C compiler here")

    monkeypatch.setattr(optimizers, "compiled_adamw", lambda: failing)
    with pytest.warns(RuntimeWarning, match="uncompiled: no C compiler here"):
        fallen_back = Course(made(compiled=True)).go(0, 2)
    assert fallen_back.equals(Course(made(compiled=False)).go(0, 2))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about itself
@both
def test_the_compiled_step_is_the_plain_one_to_the_bit(updates: str) -> None:
    course = Course(made(updates=updates, compiled=True)).go(0, 6)
    assert course.optimizer.compiled, "it fell back"
    assert course.equals(Course(made(updates=updates, compiled=False)).go(0, 6))


def config(updates: str = "stochastic") -> Config:
    return Config(training=TrainingConfig(bf16_updates=updates, seed=5))


def test_trainers_take_it_for_bfloat16_weights_alone(tmp_path: Path) -> None:
    half, whole = tiny_model().bfloat16(), tiny_model()
    args = arguments(tmp_path, adam_beta2=0.95, adam_epsilon=1e-6)
    found = optimizer_for(config("kahan"), half, args)
    assert found is not None
    assert found[0] is Bf16AdamW
    settings = {"lr": 1e-2, "betas": (0.9, 0.95), "eps": 1e-6, "updates": "kahan", "seed": 5}
    assert found[1] == settings
    assert optimizer_for(config(), whole, args) is None
    assert optimizer_for(config("nearest"), half, args) is None
    assert optimizer_for(config(), half, arguments(tmp_path, optim="sgd")) is None


def test_an_adapter_in_float32_leaves_the_choice_to_transformers(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    model = with_lora(tiny_model().bfloat16(), LoraSettings(), QWEN, range(0))
    assert optimizer_for(config(), model, arguments(tmp_path)) is None


def trainer(folder: Path, updates: str, **more: Any) -> Any:
    model = tiny_model().bfloat16()
    args = arguments(folder, weight_decay=0.1, save_strategy="steps", save_steps=3, **more)
    return FineTuner(
        model,
        args,
        data_collator=pad,
        train_dataset=ragged_dataset(48),
        optimizer_cls_and_kwargs=optimizer_for(config(updates), model, args),
    )


@both
def test_a_resumed_fine_tune_ends_with_the_same_weights(updates: str, tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole", updates, max_steps=6)
    whole.train()
    assert isinstance(whole.optimizer.optimizer, Bf16AdamW)
    resumed = trainer(tmp_path / "resumed", updates, max_steps=6)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    wanted, found = weights(whole.model), weights(resumed.model)
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_the_groups_with_weight_decay_are_those_of_transformers(tmp_path: Path) -> None:
    ours = trainer(tmp_path, "stochastic", max_steps=1)
    stock = trainer(tmp_path, "nearest", max_steps=1)
    assert isinstance(stock.create_optimizer(), torch.optim.AdamW)
    groups = [
        [
            (g["weight_decay"], g["lr"], [tuple(p.shape) for p in g["params"]])
            for g in o.param_groups
        ]
        for o in (ours.create_optimizer(), stock.optimizer)
    ]
    assert groups[0] == groups[1]
