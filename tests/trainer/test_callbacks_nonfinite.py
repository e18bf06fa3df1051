"""A NaN or an infinity is seen at the step it happens, and the weights stay finite."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tiny_models import arguments, equal_dataset, pad, ragged_dataset, tiny_model, weights
from transformers import Trainer, TrainerControl, TrainerState

from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner

Spoil = Callable[[torch.nn.Module, int], None]


def loss_at(value: float, micro_batch: int, *, added: bool = False) -> Spoil:
    """Spoil the loss of one micro-batch, counted over the whole run from 1.

    What is added to a loss does not reach its gradients.
    """

    def spoil(model: torch.nn.Module, accumulate: int) -> None:
        calls = 0

        def hook(module: Any, inputs: Any, output: Any) -> Any:
            nonlocal calls
            calls += module.training
            if calls == micro_batch and module.training:
                loss = output["loss"]
                output["loss"] = loss + value if added else loss * value
            return output

        model.register_forward_hook(hook)

    return spoil


def gradient_at(value: float, micro_batch: int) -> Spoil:
    """Spoil one number of one gradient in the backward pass of one micro-batch."""

    def spoil(model: torch.nn.Module, accumulate: int) -> None:
        calls = 0

        def hook(gradient: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            if calls == micro_batch:
                gradient = gradient.clone()
                gradient.view(-1)[3] = value
            return gradient

        dict(model.named_parameters())["model.norm.weight"].register_hook(hook)  # type: ignore[no-untyped-call]

    return spoil


def run(
    kind: type[Trainer], folder: Path, spoil: Spoil, *, guarded: bool = True, **more: Any
) -> tuple[Any, NonFiniteGuard, TrainError | None]:
    model, guard = tiny_model(), NonFiniteGuard()
    spoil(model, 1)
    settings = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 2,
        "lr_scheduler_type": "constant",
    } | more
    trainer = kind(
        model,
        arguments(folder, **settings),
        data_collator=pad,
        train_dataset=ragged_dataset(24),
        eval_dataset=ragged_dataset(4),
        callbacks=[guard] if guarded else [],
    )
    try:
        trainer.train()
    except TrainError as error:
        return trainer, guard, error
    return trainer, guard, None


@pytest.fixture(scope="module")
def four_steps(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[type[Trainer], dict[str, torch.Tensor]]:
    """The weights after four steps that nothing went wrong in."""
    folder = tmp_path_factory.mktemp("four")
    nothing = loss_at(1.0, 999)
    return {
        kind: weights(run(kind, folder, nothing, max_steps=4)[0].model)
        for kind in (FineTuner, Trainer)
    }


def finite(trainer: Any) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in weights(trainer.model).values())


@pytest.mark.parametrize("kind", [FineTuner, Trainer])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("spoil", [loss_at, gradient_at])
def test_it_is_seen_at_the_step_it_happens_and_the_weights_stay_those_before(
    tmp_path: Path,
    four_steps: dict[type[Trainer], dict[str, torch.Tensor]],
    kind: type[Trainer],
    value: float,
    spoil: Callable[[float, int], Spoil],
) -> None:
    trainer, guard, error = run(kind, tmp_path, spoil(value, 5))
    assert error is not None
    assert error.code == "FT508"
    assert error.exit_code == 4
    assert error.message.startswith("step 5: ")
    assert guard.reason is not None
    assert guard.reason["step"] == 5
    assert trainer.state.global_step == 4
    assert finite(trainer)
    for name, tensor in weights(trainer.model).items():
        assert torch.equal(tensor, four_steps[kind][name]), name


def test_without_the_guard_the_run_finishes_with_nothing_but_nan(tmp_path: Path) -> None:
    """What the guard is for: this is what transformers does on its own, filter on."""
    spoil = loss_at(float("nan"), 5)
    trainer, _, error = run(Trainer, tmp_path, spoil, guarded=False, logging_nan_inf_filter=True)
    assert error is None
    assert trainer.state.global_step == 24
    assert not finite(trainer)
    told = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert not any(math.isnan(loss) for loss in told)  # and no logged loss says so


def test_the_filter_of_transformers_does_not_hide_it_from_the_guard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil = loss_at(float("nan"), 5)
    with caplog.at_level(logging.WARNING, "ftadvise_trainer"):
        _, _, error = run(Trainer, tmp_path, spoil, logging_nan_inf_filter=True)
    assert error is not None
    assert error.message.startswith("step 5: ")
    assert "logging_nan_inf_filter" in caplog.text


def test_the_micro_batch_and_its_rows_are_named(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    model, guard = tiny_model(), NonFiniteGuard()
    model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True
    )
    loss_at(float("nan"), 7)(model, 1)
    data = equal_dataset(24)
    trainer = FineTuner(
        model,
        arguments(
            tmp_path,
            num_train_epochs=2,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=4,
        ),
        data_collator=pad,
        train_dataset=data,
        callbacks=[guard],
    )
    with pytest.raises(TrainError, match=r"step 2: loss not finite \(micro-batch 3 of 4 has") as e:
        trainer.train()
    wanted = seen[6].tolist()
    rows = [i for i, row in enumerate(data) if row["input_ids"] in wanted]
    assert len(rows) >= 2
    assert guard.reason is not None
    assert guard.reason["rows"] == rows
    assert f"training rows {', '.join(map(str, rows))}" in str(e.value)
    assert guard.reason["batch"][0] in str(e.value)


def test_an_infinite_loss_with_finite_gradients_is_seen_in_the_log_of_any_trainer(
    tmp_path: Path,
) -> None:
    trainer, _, error = run(Trainer, tmp_path, loss_at(float("inf"), 5, added=True))
    assert error is not None
    assert error.message.startswith("step 5: ")
    assert finite(trainer)


def test_an_infinite_loss_with_finite_gradients_reaches_no_weight_of_a_fine_tuner(
    tmp_path: Path,
) -> None:
    trainer, _, error = run(FineTuner, tmp_path, loss_at(float("inf"), 5, added=True))
    assert error is not None
    assert error.message.startswith("step 5: loss not finite (micro-batch 1 of 1")
    assert trainer.state.global_step == 4


def test_an_eval_loss_that_is_not_finite_is_never_the_best(tmp_path: Path) -> None:
    def spoil(model: torch.nn.Module, accumulate: int) -> None:
        evals = 0

        def hook(module: Any, inputs: Any, output: Any) -> Any:
            nonlocal evals
            evals += not module.training
            if evals == 2 and not module.training:
                output["logits"] = output["logits"] * float("nan")
            return output

        model.register_forward_hook(hook)

    trainer, _, error = run(
        FineTuner,
        tmp_path,
        spoil,
        eval_strategy="epoch",
        save_strategy="best",
        metric_for_best_model="eval_loss",
        greater_is_better=False,
    )
    assert error is not None
    assert error.message == "step 24: eval loss not finite"
    assert trainer.state.best_global_step == 12
    assert not (tmp_path / "checkpoint-24").exists()


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    """Finite gradients, but a step that overflows."""
    _, _, error = run(
        FineTuner,
        tmp_path,
        gradient_at(1e18, 1),
        optim="sgd",
        learning_rate=1e22,
        max_grad_norm=0.0,
        save_strategy="steps",
        save_steps=1,
    )
    assert error is not None
    assert error.message == "step 1: weight not finite"
    assert not list(tmp_path.glob("checkpoint-*"))


def test_infinite_gradients_are_left_to_the_loss_scaler_of_fp16() -> None:
    guard, model = NonFiniteGuard(), torch.nn.Linear(2, 2)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, float("inf"))
    args = SimpleNamespace(fp16=True, device="cpu", logging_nan_inf_filter=False)
    state, control = TrainerState(), TrainerControl()
    guard.on_pre_optimizer_step(args, state, control, model=model)
    guard.on_log(args, state, control, logs={"grad_norm": float("inf"), "loss": 1.0})
    guard.saw(torch.tensor(float("nan")), {})
    with pytest.raises(TrainError, match="step 1: loss not finite"):
        guard.on_pre_optimizer_step(args, state, control, model=model)
    args.fp16 = False
    with pytest.raises(TrainError, match="step 1: gradient not finite"):
        guard.on_pre_optimizer_step(args, state, control, model=model)


def test_huge_but_finite_gradients_pass(tmp_path: Path) -> None:
    """The square of 1e30 is infinite in float32, the gradient is not."""
    guard, model = NonFiniteGuard(), torch.nn.Linear(2, 2)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e30)
    args = SimpleNamespace(fp16=False, device="cpu")
    guard.on_pre_optimizer_step(args, TrainerState(), TrainerControl(), model=model)
    assert guard.reason is None
