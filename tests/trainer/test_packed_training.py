"""A packed run trains on the same examples, with the same losses and gradients, as a padded one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from packed_models import FAMILIES, family_model
from tiny_models import Rows, arguments, pad, ragged_dataset, tiny_model, weights
from torch.nn import functional
from transformers import TrainerCallback

from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.config import Config, TrainingConfig
from ftadvise_trainer.data.collate import Collator, GroupCollator, PackedCollator
from ftadvise_trainer.data.packing import Layout
from ftadvise_trainer.data.rows import blank, forwards, relaid
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.speed.setting_up import set_up

CLOSE = 1e-6
PADDED, PACKED = None, Layout(pad_id=0, row_tokens=30, multiple=4)


def trainer(folder: Path, layout: Layout | None, model: Any = None, **more: Any) -> FineTuner:
    callbacks, head = more.pop("callbacks", []), more.pop("head", None)
    data = more.pop("data", None) or ragged_dataset(33)
    settings = {"num_train_epochs": 1, "per_device_train_batch_size": 7} | more
    return FineTuner(
        model if model is not None else tiny_model(),
        arguments(folder, prediction_loss_only=True, **settings),
        data_collator=pad,
        train_dataset=data,
        eval_dataset=ragged_dataset(20, seed=2),
        layout=layout,
        head=head,
        callbacks=callbacks,
    )


def trained(*args: Any, **more: Any) -> FineTuner:
    made = trainer(*args, **more)
    made.train()
    return made


def losses(made: FineTuner) -> list[float]:
    return [row["loss"] for row in made.state.log_history if "loss" in row]


def gradients(model: Any, batch: Any, items: int) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loss of a batch and its gradients, as a step has them."""
    model.zero_grad()
    total = 0.0
    for one in forwards(batch):
        given = {name: value for name, value in one.items() if name != "places"}
        loss = model(**given, num_items_in_batch=items).loss
        loss.backward()
        total += float(loss.detach())
    named = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return total, named


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_of_packed_rows_are_those_of_padded_examples(family: str) -> None:
    model = family_model(family)
    examples = ragged_dataset(9).rows
    items = sum(label != -100 for one in examples for label in one["labels"][1:])
    expected, theirs = gradients(model, dict(Collator(0)(examples)), items)
    packed = PackedCollator(PACKED)(examples)
    assert len(forwards(packed)) > 1
    loss, ours = gradients(model, packed, items)
    assert loss == pytest.approx(expected, abs=CLOSE)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, atol=CLOSE, rtol=0, msg=name)


def assert_same_curves(one: FineTuner, other: FineTuner) -> None:
    assert len(losses(one)) == 20
    assert losses(one) == pytest.approx(losses(other), abs=1e-4)
    evals, expected = (
        [row for row in made.state.log_history if "eval_loss" in row] for made in (one, other)
    )
    assert [row["eval_tokens"] for row in evals] == [row["eval_tokens"] for row in expected]
    assert [row["eval_loss"] for row in evals] == pytest.approx(
        [row["eval_loss"] for row in expected], abs=1e-4
    )


@pytest.mark.parametrize(
    "layout",
    [PACKED, replace(PACKED, batch_size=7), Layout(pad_id=0, batch_size=7, examples=3)],
    ids=["packed", "packed with batch_size", "padded with batch_size"],
)
def test_the_loss_curve_is_that_of_the_padded_run(tmp_path: Path, layout: Layout) -> None:
    more = {"num_train_epochs": 4, "eval_strategy": "epoch"}
    padded, ours = (trained(tmp_path, one, **more) for one in (PADDED, layout))
    assert_same_curves(ours, padded)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_as_it_is_set_up_has_the_loss_curve_of_a_plain_one(
    tmp_path: Path, family: str
) -> None:
    more = {"num_train_epochs": 4, "eval_strategy": "epoch"}
    padded = trained(tmp_path, PADDED, family_model(family), **more)
    model = family_model(family)
    config = Config(training=TrainingConfig(row_tokens=40, batch_size=7))
    args = arguments(tmp_path, **more)
    setup = set_up(config, args, model, 0, ragged_dataset(33))
    tokens = None if family == "gemma2" else 40  # its attention has a soft cap
    assert setup.layout == Layout(pad_id=0, row_tokens=tokens, batch_size=7, examples=4)
    assert setup.head is not None
    ours = trained(tmp_path, setup.layout, model, head=setup.head, **more)
    assert_same_curves(ours, padded)


def test_the_packed_eval_loss_is_that_of_every_example_alone(tmp_path: Path) -> None:
    made = trainer(tmp_path, PACKED)
    total, count = 0.0, 0
    model = tiny_model().double().eval()
    for row in ragged_dataset(20, seed=2):
        labels = torch.tensor(row["labels"])[1:]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
        total += float(functional.cross_entropy(logits, labels, reduction="sum"))
        count += int((labels != -100).sum())
    metrics = made.evaluate()
    assert metrics["eval_loss"] == pytest.approx(total / count, abs=CLOSE)
    assert metrics["eval_tokens"] == count


def test_a_packed_evaluation_can_be_broken_off(tmp_path: Path) -> None:
    made = trainer(tmp_path, PACKED)
    made.interrupted = lambda: True
    metrics = made.evaluate()
    assert metrics["eval_interrupted"] == 1.0
    assert "eval_loss" not in metrics


@pytest.mark.parametrize("batch_size", [None, 5])
def test_accumulated_steps_of_packed_batches_give_the_loss_of_padded_ones(
    tmp_path: Path, batch_size: int | None
) -> None:
    more = {"per_device_train_batch_size": 5, "gradient_accumulation_steps": 3}
    if batch_size is not None:
        more = {"per_device_train_batch_size": 5}
    padded = trained(tmp_path, PADDED, **more)
    ours = trained(tmp_path, replace(PACKED, batch_size=batch_size), **more)
    assert losses(ours) == pytest.approx(losses(padded), abs=CLOSE)


def test_an_example_longer_than_a_row_is_trained_whole(tmp_path: Path) -> None:
    long = [{"input_ids": list(range(3, 60)), "labels": [-100] * 5 + list(range(8, 60))}]
    data = Rows(ragged_dataset(10).rows + long)
    padded, ours = (
        trained(tmp_path, one, data=data, num_train_epochs=2) for one in (PADDED, PACKED)
    )
    assert losses(ours) == pytest.approx(losses(padded), abs=CLOSE)


class Seen(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Takes note of what it is told of each batch."""

    def __init__(self) -> None:
        self.tokens = self.padding = self.rows = self.trained = 0

    def packed(self, tokens: int, padding: int, rows: int, *, trained: int, squares: int) -> None:
        self.tokens += tokens
        self.padding += padding
        self.rows += rows
        self.trained += trained


@pytest.mark.parametrize("layout", [PADDED, PACKED, Layout(0, batch_size=7, examples=3)])
def test_tokens_and_padding_are_told_to_callbacks_and_tokens_stand_in_the_log(
    tmp_path: Path, layout: Layout | None
) -> None:
    seen = Seen()
    made = trained(tmp_path, layout, callbacks=[seen])
    rows = ragged_dataset(33).rows
    assert seen.tokens == sum(len(row["input_ids"]) for row in rows)
    assert seen.trained == sum(label != -100 for row in rows for label in row["labels"][1:])
    assert seen.padding > 0
    logged = [r["num_input_tokens_seen"] for r in made.state.log_history if "loss" in r]
    assert logged[-1] == made.state.num_input_tokens_seen == seen.tokens


def test_a_run_stopped_in_an_epoch_goes_on_with_the_same_losses(tmp_path: Path) -> None:
    layout = replace(PACKED, batch_size=6)
    more = {"num_train_epochs": 3, "save_strategy": "steps", "save_steps": 4}
    whole = trained(tmp_path, layout, **more)
    resumed = trainer(tmp_path, layout, **more)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))
    assert losses(resumed) == losses(whole)
    assert [
        row["num_input_tokens_seen"] for row in resumed.state.log_history if "loss" in row
    ] == [row["num_input_tokens_seen"] for row in whole.state.log_history if "loss" in row]
    for name, tensor in weights(resumed.model).items():
        assert torch.equal(tensor, weights(whole.model)[name]), name


class Forgetful:
    """Stands in for a device without room for rows of more than `most` tokens."""

    def __init__(self, model: Any, most: int) -> None:
        self.most, self.refused = most, 0
        model.register_forward_pre_hook(self.check, with_kwargs=True)

    def check(self, module: Any, args: Any, kwargs: Any) -> None:
        if module.training and kwargs["input_ids"].numel() > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory")


def test_rows_without_room_are_halved_and_the_step_is_made_again(tmp_path: Path) -> None:
    data = ragged_dataset(80, longest=60)
    more = {"data": data, "per_device_train_batch_size": 16, "gradient_accumulation_steps": 2}
    padded = trained(tmp_path, PADDED, **more)
    model = tiny_model()
    small = Forgetful(model, most=470)  # the first batch of the step fits, the second does not
    made = trainer(tmp_path, Layout(pad_id=0, row_tokens=1024), model, **more)
    said: list[str] = []
    made.say = said.append
    made.train()
    assert small.refused == len(said) == 1
    assert made.layout == Layout(pad_id=0, row_tokens=256)
    assert said[0].startswith("out of memory with rows of 504 tokens")
    assert losses(made) == pytest.approx(losses(padded), abs=CLOSE)


@pytest.mark.parametrize("batch_size", [None, 16])
def test_rows_are_made_shorter_by_the_loader_once_they_have_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int | None
) -> None:
    data = ragged_dataset(96, longest=60)
    more = {"data": data, "per_device_train_batch_size": 16}
    padded = trained(tmp_path, PADDED, **more)
    laid_again: list[int] = []

    def noted(batch: Any, layout: Layout) -> Any:
        laid_again.append(layout.row_tokens or 0)
        return relaid(batch, layout)

    monkeypatch.setattr("ftadvise_trainer.row_trainer.relaid", noted)
    model = tiny_model()
    small = Forgetful(model, most=400)
    layout = Layout(pad_id=0, row_tokens=1024, batch_size=batch_size)
    made = trainer(tmp_path, layout, model, **more)
    made.say = lambda line: None
    made.train()
    assert small.refused == 1
    # The batch that did not fit, and the one that accelerate had fetched by then; not all six.
    assert laid_again == [256, 256]
    assert losses(made) == pytest.approx(losses(padded), abs=CLOSE)


def test_one_of_several_processes_without_room_ends_the_run_and_names_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait for it in the middle of the step: shorter rows would come too late."""
    model = tiny_model()
    made = trainer(
        tmp_path, Layout(pad_id=0, row_tokens=1024), model, data=ragged_dataset(80, longest=60)
    )

    def several(*_: Any) -> None:
        kind = type(made.accelerator)
        monkeypatch.setattr(kind, "num_processes", property(lambda self: 2))
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.register_forward_pre_hook(several)
    with pytest.raises(TrainError, match="out of memory with rows of") as caught:
        made.train()
    assert "training.row_tokens below" in caught.value.hint


def test_an_example_without_room_ends_the_run_and_says_what_to_set(tmp_path: Path) -> None:
    model = tiny_model()
    Forgetful(model, most=20)
    made = trainer(tmp_path, Layout(pad_id=0, row_tokens=128), model)
    with pytest.raises(TrainError, match="rows of 61 tokens") as caught:
        made.train()
    assert "training.row_tokens" in caught.value.hint


def test_a_padded_batch_without_room_ends_the_run_and_says_what_to_set(tmp_path: Path) -> None:
    model = tiny_model()
    Forgetful(model, most=20)
    with pytest.raises(TrainError, match="out of memory") as caught:
        trainer(tmp_path, PADDED, model).train()
    assert "training.per_device_train_batch_size" in caught.value.hint


def test_the_guard_names_the_examples_of_a_packed_row(tmp_path: Path) -> None:
    model, calls = tiny_model(), 0

    def spoil(module: Any, inputs: Any, output: Any) -> Any:
        nonlocal calls
        calls += module.training
        if calls == 2:
            output["loss"] = output["loss"] * float("nan")
        return output

    model.register_forward_hook(spoil)
    guard = NonFiniteGuard()
    made = trainer(tmp_path, PACKED, model, callbacks=[guard])
    with pytest.raises(TrainError, match="micro-batch 2 of 3"):
        made.train()
    assert guard.reason is not None
    rows = guard.reason["rows"]
    lengths = [len(ragged_dataset(33)[row]["input_ids"]) for row in rows]
    assert len(rows) > 1
    assert sum(lengths) <= 30


def test_a_packed_batch_says_where_its_documents_begin() -> None:
    examples = [{"input_ids": [5] * n, "labels": [5] * n} for n in (3, 4, 6)]
    batch = PackedCollator(Layout(pad_id=0, row_tokens=8, multiple=4))(examples)
    assert batch["documents"] == [[3, 4], [6]]
    assert batch["widths"] == [8, 8]
    assert [ends.tolist() for ends in batch["cu_seq_lens"]] == [[0, 3, 7, 8], [0, 6, 8]]
    assert batch["max_length"] == [4, 6]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2, 3, 0], [0, 1, 2, 3, 4, 5, 0, 1]]
    assert batch["labels"].tolist()[0] == [-100, 5, 5, -100, 5, 5, 5, -100]
    assert [places.tolist() for places in batch["places"]] == [[0, 1, 3, 4, 5], [0, 1, 2, 3, 4]]
    assert batch["counts"] == {
        "tokens": 13,
        "padding": 3,
        "rows": 2,
        "trained": 10,
        "squares": 9 + 16 + 36,
    }


def test_a_rank_without_an_example_has_a_row_in_which_nothing_is_trained() -> None:
    for collator in (PackedCollator(PACKED), GroupCollator(Layout(pad_id=0, batch_size=2))):
        batch = collator([[]])
        (row,) = forwards(batch)
        assert row["labels"].eq(-100).all()
        loss = tiny_model()(
            **{name: value for name, value in row.items() if name != "places"},
            num_items_in_batch=5,
        ).loss
        assert float(loss.detach()) == 0.0


def test_a_batch_laid_out_again_holds_the_same_examples() -> None:
    examples = ragged_dataset(12).rows
    wide = PackedCollator(Layout(pad_id=0, row_tokens=60))(examples)
    narrow = relaid(wide, Layout(pad_id=0, row_tokens=25))
    expected = PackedCollator(Layout(pad_id=0, row_tokens=25))(examples)
    assert sorted(map(sorted, narrow["documents"])) == sorted(map(sorted, expected["documents"]))
    for name in ("input_ids", "labels"):
        assert narrow[name].shape == expected[name].shape
        assert sorted(narrow[name].flatten().tolist()) == sorted(expected[name].flatten().tolist())
    empty = blank(narrow, 0)
    assert empty["labels"].eq(-100).all()
    assert empty["cu_seq_lens_q"].tolist() == [0, empty["input_ids"].shape[1]]


def test_a_batch_size_does_not_go_with_an_order_by_length(tmp_path: Path) -> None:
    layout = replace(PACKED, batch_size=6)
    made = trainer(tmp_path, layout, train_sampling_strategy="group_by_length")
    with pytest.raises(TrainError, match="group_by_length"):
        made.train()
