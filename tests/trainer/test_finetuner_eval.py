"""The eval loss is one number, whatever the batch size, and an evaluation can be broken off."""

from __future__ import annotations

import math
import random
import weakref
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
import torch
from tiny_models import arguments, pad, ragged_dataset, tiny_model, weights
from torch.nn import functional
from transformers import Trainer, TrainerCallback

from ftadvise_trainer.evaluation import needs_eval, nll_by_row
from ftadvise_trainer.finetuner import FineTuner

SIZES = range(1, 34)


def by_hand(model: Any, data: Any) -> tuple[float, int]:
    """Return the eval loss row by row in float64, and the number of trained tokens."""
    total, count = 0.0, 0
    model = model.double().eval()
    for row in data:
        labels = torch.tensor(row["labels"])[1:]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
        total += float(functional.cross_entropy(logits, labels, reduction="sum"))
        count += int((labels != -100).sum())
    return total / count, count


def evaluated(kind: type[Trainer], folder: Path, data: Any, size: int) -> dict[str, float]:
    args = arguments(folder, per_device_eval_batch_size=size)
    trainer: Any = kind(tiny_model(), args, data_collator=pad, eval_dataset=data)
    metrics: dict[str, float] = trainer.evaluate()
    return metrics


def test_the_eval_loss_is_the_same_at_every_eval_batch_size(tmp_path: Path) -> None:
    data = ragged_dataset(33, seed=2)
    expected, tokens = by_hand(tiny_model(), data)
    for size in SIZES:
        metrics = evaluated(FineTuner, tmp_path, data, size)
        assert metrics["eval_loss"] == pytest.approx(expected, abs=1e-6), size
        assert metrics["eval_tokens"] == tokens


def test_the_eval_loss_of_transformers_alone_depends_on_the_batch_size(tmp_path: Path) -> None:
    """What the handling is for: transformers issue 39241."""
    data = ragged_dataset(33, seed=2)
    found = [evaluated(Trainer, tmp_path, data, size)["eval_loss"] for size in (1, 4, 33)]
    assert max(found) - min(found) > 1e-3


def test_a_batch_without_trained_tokens_weighs_nothing(tmp_path: Path) -> None:
    data = ragged_dataset(4, seed=2)
    data.rows[1] = {"input_ids": [4, 5, 6], "labels": [-100] * 3}
    expected, tokens = by_hand(tiny_model(), data)
    metrics = evaluated(FineTuner, tmp_path, data, 1)
    assert metrics["eval_loss"] == pytest.approx(expected, abs=1e-6)
    assert metrics["eval_tokens"] == tokens


def test_no_logits_are_kept_from_one_batch_to_the_next(tmp_path: Path) -> None:
    model: Any = tiny_model()
    trainer = FineTuner(
        model,
        arguments(tmp_path, per_device_eval_batch_size=1),
        data_collator=pad,
        eval_dataset=ragged_dataset(6),
    )
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def watch(module: Any, inputs: Any, output: torch.Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(output))
        most = max(most, sum(ref() is not None for ref in alive))

    model.lm_head.register_forward_hook(watch)
    trainer.evaluate()
    assert len(alive) == 6
    assert most == 1


def test_several_eval_sets_have_a_loss_each(tmp_path: Path) -> None:
    sets = {"one": ragged_dataset(5, seed=1), "two": ragged_dataset(7, seed=2)}
    trainer = FineTuner(tiny_model(), arguments(tmp_path), data_collator=pad, eval_dataset=sets)
    metrics = trainer.evaluate()
    for name, data in sets.items():
        expected, tokens = by_hand(tiny_model(), data)
        assert metrics[f"eval_{name}_loss"] == pytest.approx(expected, abs=1e-6)
        assert metrics[f"eval_{name}_tokens"] == tokens


def test_predictions_and_metrics_of_the_user_still_work(tmp_path: Path) -> None:
    data = ragged_dataset(5)

    def rows(prediction: Any) -> dict[str, float]:
        return {"rows": float(prediction.predictions.shape[0])}

    trainer = FineTuner(
        tiny_model(),
        arguments(tmp_path, per_device_eval_batch_size=2),
        data_collator=pad,
        eval_dataset=data,
        compute_metrics=rows,
    )
    metrics = trainer.evaluate()
    expected, _ = by_hand(tiny_model(), data)
    assert metrics["eval_rows"] == 5
    assert metrics["eval_loss"] == pytest.approx(expected, abs=1e-6)
    found: Any = trainer.predict(data)
    assert found.predictions.shape[0] == 5
    assert found.metrics["test_loss"] == pytest.approx(expected, abs=1e-6)


def test_label_smoothing_is_left_out_of_the_eval_loss(tmp_path: Path) -> None:
    data = ragged_dataset(5)
    args = arguments(tmp_path, label_smoothing_factor=0.3)
    trainer = FineTuner(tiny_model(), args, data_collator=pad, eval_dataset=data)
    expected, _ = by_hand(tiny_model(), data)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, abs=1e-6)


def test_shifted_labels_of_a_collator_are_taken_as_they_are() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 7), torch.tensor([[-100, 1, 2, 3, -100], [4, 5, 6, 0, 1]])
    shifted = functional.pad(labels[:, 1:], (0, 1), value=-100)
    usual, counts = nll_by_row(logits, labels)
    given, given_counts = nll_by_row(logits, labels, shifted)
    torch.testing.assert_close(given, usual)
    assert counts.tolist() == given_counts.tolist() == [3, 4]


class SaveWhenAsked(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Stands in for a preemption callback: save and stop at the end of the step."""

    def __init__(self) -> None:
        self.asked = False

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.asked:
            control.should_save = control.should_training_stop = True


def test_an_interrupted_evaluation_has_no_loss_and_the_step_is_saved(tmp_path: Path) -> None:
    notice = SaveWhenAsked()
    polls = 0

    def interrupted() -> bool:
        nonlocal polls
        polls += 1
        notice.asked = polls > 9 + 4  # the first evaluation has 9 batches; in the second, batch 5
        return notice.asked

    trainer = FineTuner(
        tiny_model(),
        arguments(
            tmp_path, num_train_epochs=4, eval_strategy="epoch", per_device_eval_batch_size=1
        ),
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        eval_dataset=ragged_dataset(9, seed=1),
        callbacks=[notice],
        interrupted=interrupted,
    )
    trainer.train()
    evals = [row for row in trainer.state.log_history if "eval_runtime" in row]
    assert [("eval_loss" in row, row.get("eval_interrupted")) for row in evals] == [
        (True, None),
        (False, 1.0),
    ]
    assert polls == 9 + 5
    assert trainer.state.global_step == 4
    assert (tmp_path / "checkpoint-4" / "trainer_state.json").is_file()
    assert needs_eval(trainer.state.log_history)
    loaders = trainer.accelerator.gradient_state.dataloader_references
    assert all(loader is None or len(loader.dataset) == 16 for loader in loaders)


def test_a_resume_redoes_the_evaluation_that_was_broken_off(tmp_path: Path) -> None:
    def run(folder: Path, resume: Path | None = None, **more: Any) -> Any:
        trainer = FineTuner(
            tiny_model(),
            arguments(
                folder,
                num_train_epochs=3,
                eval_strategy="epoch",
                save_strategy="epoch",
                eval_on_start=resume is not None,
            ),
            data_collator=pad,
            train_dataset=ragged_dataset(16),
            eval_dataset=ragged_dataset(9, seed=1),
            **more,
        )
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        return trainer

    def evals(trainer: Any) -> list[tuple[float, float]]:
        rows = trainer.state.log_history
        return [(row["step"], row["eval_loss"]) for row in rows if "eval_loss" in row]

    whole = run(tmp_path / "whole")
    assert not needs_eval(whole.state.log_history)
    notice = SaveWhenAsked()
    notice.asked = True
    run(tmp_path / "cut", callbacks=[notice], interrupted=lambda: True)
    resumed = run(tmp_path / "cut", resume=tmp_path / "cut" / "checkpoint-2")
    assert evals(resumed) == evals(whole)


def test_an_eval_set_without_a_trained_token_has_no_finite_loss(tmp_path: Path) -> None:
    data = ragged_dataset(1)
    data.rows[0]["labels"] = [-100] * len(data.rows[0]["labels"])
    assert math.isnan(evaluated(FineTuner, tmp_path, data, 1)["eval_loss"])


def test_an_evaluation_leaves_every_random_number_to_the_training(tmp_path: Path) -> None:
    def draw(*_: Any) -> dict[str, float]:
        return {"drawn": random.random() + float(np.random.rand()) + float(torch.rand(()))}

    trainer = FineTuner(
        tiny_model(),
        arguments(tmp_path),
        data_collator=pad,
        eval_dataset=ragged_dataset(5),
        compute_metrics=draw,
    )

    def state() -> tuple[Any, ...]:
        numbers: Any = np.random.get_state()
        return random.getstate(), numbers[1].tobytes(), torch.get_rng_state().numpy().tobytes()

    before = state()
    assert trainer.evaluate()["eval_drawn"] > 0
    assert state() == before


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_with_dropout_is_the_same_with_and_without_evaluations(
    tmp_path: Path, workers: int
) -> None:
    def trained(**more: Any) -> dict[str, torch.Tensor]:
        model: Any = tiny_model()
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.2
        args = arguments(tmp_path, num_train_epochs=2, dataloader_num_workers=workers, **more)
        FineTuner(
            model,
            args,
            data_collator=pad,
            train_dataset=ragged_dataset(32),
            eval_dataset=ragged_dataset(5, seed=1),
        ).train()
        return weights(model)

    without = trained(eval_strategy="no")
    for name, value in trained(eval_strategy="steps", eval_steps=3, eval_on_start=True).items():
        assert torch.equal(value, without[name]), name
