"""FineTuner trains as transformers' Trainer does where that is right, and right where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tiny_models import Example, arguments, equal_dataset, pad, ragged_dataset, tiny_model, weights
from torch.nn import functional
from transformers import LlamaForCausalLM, Trainer

from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner

CLOSE = 1e-6


class NoLossArguments(LlamaForCausalLM):  # type: ignore[misc]  # transformers has no types
    """A model that cannot be told the number of trained tokens of the step."""

    accepts_loss_kwargs = False


class Bigram(torch.nn.Module):
    """A causal language model that transformers knows nothing about."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.table = torch.nn.Embedding(64, 64)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        logits = self.table(input_ids)
        if labels is None:
            return {"logits": logits}
        wanted = labels[:, 1:].flatten()
        return {
            "loss": functional.cross_entropy(logits[:, :-1].flatten(0, 1), wanted),
            "logits": logits,
        }


def lora_model() -> Any:
    peft = pytest.importorskip("peft")
    model = tiny_model()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
        return peft.get_peft_model(model, config)


def without_loss_arguments() -> Any:
    model = tiny_model()
    model.__class__ = NoLossArguments
    return model


def train(kind: type[Trainer], model: Any, folder: Path, data: Any, **more: Any) -> Any:
    trainer = kind(model, arguments(folder, **more), data_collator=pad, train_dataset=data)
    trainer.train()
    return trainer


def losses(trainer: Any) -> list[float]:
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def assert_same(one: Any, other: Any) -> None:
    assert losses(one) == pytest.approx(losses(other), abs=CLOSE)
    expected = weights(other.model)
    for name, tensor in weights(one.model).items():
        torch.testing.assert_close(tensor, expected[name], atol=CLOSE, rtol=0, msg=name)


def order_of(trainer: Any) -> list[list[Example]]:
    """Return the rows of each micro-batch of the first epoch, in transformers' own order."""
    seen: list[list[Example]] = []
    collate = trainer.data_collator

    def collect(rows: list[Example]) -> Any:
        seen.append(rows)
        return collate(rows)

    trainer.data_collator = collect
    loader = trainer.get_train_dataloader()
    for _ in loader:
        pass
    return seen


def reference(
    model: Any, batches: list[list[Example]], accumulate: int, rate: float
) -> list[float]:
    """Train by hand, SGD: the sum over tokens by the number of tokens of the whole step."""
    found: list[float] = []
    for start in range(0, len(batches), accumulate):
        rows = [row for batch in batches[start : start + accumulate] for row in batch]
        total, count = torch.zeros(()), 0
        for row in rows:  # one by one: no padding at all
            tokens, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"])
            output = model(input_ids=tokens)
            logits = output["logits"][0, :-1]
            total = total + functional.cross_entropy(logits, labels[1:], reduction="sum")
            count += int((labels[1:] != -100).sum())
        model.zero_grad()
        (total / count).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= rate * parameter.grad
        found.append(float(total.detach() / count))
    return found


SGD = {
    "optim": "sgd",
    "lr_scheduler_type": "constant",
    "max_grad_norm": 0.0,
    "num_train_epochs": 1,
}


def test_equal_lengths_give_the_losses_and_weights_of_transformers(tmp_path: Path) -> None:
    data = equal_dataset(24)
    more = {"num_train_epochs": 2, "per_device_train_batch_size": 4}
    ours = train(FineTuner, tiny_model(), tmp_path, data, **more)
    theirs = train(Trainer, tiny_model(), tmp_path, data, **more)
    assert len(losses(ours)) == 12
    assert_same(ours, theirs)


def test_ragged_lengths_with_accumulation_give_what_transformers_gives(tmp_path: Path) -> None:
    data = ragged_dataset(22)
    more = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
    }
    ours = train(FineTuner, tiny_model(), tmp_path, data, **more)
    theirs = train(Trainer, tiny_model(), tmp_path, data, **more)
    assert len(losses(ours)) == 6  # 11 micro-batches: the last step of an epoch has three
    assert_same(ours, theirs)


@pytest.mark.parametrize("make", [tiny_model, without_loss_arguments, Bigram])
def test_ragged_lengths_with_accumulation_give_what_a_hand_written_loop_gives(
    tmp_path: Path, make: Any
) -> None:
    data = ragged_dataset(22)
    more = SGD | {
        "learning_rate": 0.1,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
    }
    ours = train(FineTuner, make(), tmp_path, data, **more)
    by_hand = make().eval()
    expected = reference(by_hand, order_of(ours), accumulate=4, rate=0.1)
    assert losses(ours) == pytest.approx(expected, abs=CLOSE)
    for name, tensor in weights(ours.model).items():
        torch.testing.assert_close(tensor, weights(by_hand)[name], atol=CLOSE, rtol=0, msg=name)


@pytest.mark.parametrize("make", [without_loss_arguments, Bigram])
def test_transformers_alone_weighs_tokens_by_micro_batch_in_such_models(
    tmp_path: Path, make: Any
) -> None:
    """What the handling is for: without it the test above would fail."""
    data = ragged_dataset(22)
    more = SGD | {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    ours = train(FineTuner, make(), tmp_path, data, **more)
    theirs = train(Trainer, make(), tmp_path, data, **more)
    assert max(abs(a - b) for a, b in zip(losses(ours), losses(theirs), strict=True)) > 1e-3


@pytest.mark.parametrize("make", [tiny_model, without_loss_arguments])
@pytest.mark.parametrize(("batch", "accumulate"), [(1, 8), (2, 4), (4, 2)])
def test_the_cut_into_micro_batches_changes_nothing(
    tmp_path: Path, make: Any, batch: int, accumulate: int
) -> None:
    data = ragged_dataset(24)
    cut = train(
        FineTuner,
        make(),
        tmp_path,
        data,
        **SGD,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulate,
    )
    whole = train(FineTuner, make(), tmp_path, data, **SGD, per_device_train_batch_size=8)
    assert_same(cut, whole)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21
def test_lora_gives_what_transformers_gives(tmp_path: Path) -> None:
    data = ragged_dataset(22)
    more = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
    }
    ours = train(FineTuner, lora_model(), tmp_path, data, **more)
    theirs = train(Trainer, lora_model(), tmp_path, data, **more)
    assert_same(ours, theirs)
    before = weights(lora_model())
    changed = {name for name, t in weights(ours.model).items() if not torch.equal(t, before[name])}
    assert changed
    assert all("lora_" in name for name in changed)


def test_labels_that_are_the_input_itself_are_not_written_to(tmp_path: Path) -> None:
    def collate(rows: list[Example]) -> dict[str, torch.Tensor]:
        tokens = torch.tensor([row["input_ids"] for row in rows])
        return {"input_ids": tokens, "labels": tokens}

    trainer = FineTuner(
        tiny_model(),
        arguments(tmp_path, num_train_epochs=1),
        data_collator=collate,
        train_dataset=equal_dataset(8),
    )
    batch = cast("dict[str, torch.Tensor]", next(iter(trainer.get_train_dataloader())))
    assert int(batch["input_ids"].min()) > 0
    assert batch["labels"][:, 0].tolist() == [-100] * 8


def test_averaging_by_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accelerate = pytest.importorskip("accelerate")
    args = arguments(tmp_path, average_tokens_across_devices=False)
    monkeypatch.setattr(accelerate.Accelerator, "num_processes", 2)
    with pytest.raises(TrainError, match="average_tokens_across_devices") as caught:
        FineTuner(tiny_model(), args, data_collator=pad)
    assert caught.value.code == "FT501"


def test_labels_are_smoothed_alike_for_a_model_that_cannot_be_told_the_number_of_tokens(
    tmp_path: Path,
) -> None:
    def losses(kind: type[LlamaForCausalLM], epsilon: float) -> list[float]:
        settings: Any = tiny_model().config
        model = kind(settings).float()
        model.load_state_dict(tiny_model().state_dict())
        more = {"label_smoothing_factor": epsilon, "gradient_accumulation_steps": 2}
        args = arguments(tmp_path, max_steps=3, per_device_train_batch_size=4, **more)
        trainer = FineTuner(model, args, data_collator=pad, train_dataset=ragged_dataset(32))
        trainer.train()
        return [row["loss"] for row in trainer.state.log_history if "loss" in row]

    smooth = losses(NoLossArguments, 0.3)
    assert smooth == pytest.approx(losses(LlamaForCausalLM, 0.3), rel=CLOSE)
    assert smooth != pytest.approx(losses(NoLossArguments, 0.0), rel=1e-3)
