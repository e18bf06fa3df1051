"""AdvisorCallback brings forecast, decision and advice into any Trainer, and breaks none."""

from __future__ import annotations

import logging
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tiny_models import arguments, equal_dataset, pad, ragged_dataset, tiny_model, weights
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

import ftadvise
from ftadvise.errors import LogError
from ftadvise.run import FloatArray
from ftadvise_trainer.auto.schedule import hold_then_decay, rule_of
from ftadvise_trainer.callbacks import advisor, live_advice
from ftadvise_trainer.callbacks.advisor import CHANCE, FORECAST, AdvisorCallback
from ftadvise_trainer.callbacks.live_advice import POLICY
from ftadvise_trainer.callbacks.run_so_far import run_so_far
from ftadvise_trainer.finetuner import FineTuner

EVERY = 2  # steps between evaluations, of 4 steps an epoch


class Saw(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Keeps what a callback that comes later is shown of each evaluation."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if "eval_loss" in kwargs["logs"]:
            self.logs.append(dict(kwargs["logs"]))


def trainer(folder: Path, *callbacks: Any, optimizers: Any = (None, None), **more: Any) -> Any:
    """Return a Trainer that overfits within a few of its twenty epochs: its rate is held."""
    settings: dict[str, Any] = {
        "num_train_epochs": 20,
        "per_device_train_batch_size": 4,
        "eval_strategy": "steps",
        "eval_steps": EVERY,
        "lr_scheduler_type": "constant",
        "learning_rate": 2e-2,
    }
    return Trainer(
        tiny_model(),
        arguments(folder, **(settings | more)),
        data_collator=pad,
        train_dataset=ragged_dataset(16, seed=1),
        eval_dataset=ragged_dataset(16, seed=2),
        callbacks=list(callbacks),
        optimizers=optimizers,
    )


def evals(made: Any) -> list[float]:
    return [row["eval_loss"] for row in made.state.log_history if "eval_loss" in row]


def history(losses: FloatArray, rates: FloatArray) -> list[dict[str, Any]]:
    """Return the log of ten steps an epoch, with an evaluation at the end of every epoch."""
    rows: list[dict[str, Any]] = []
    for place, (loss, rate) in enumerate(zip(losses.tolist(), rates.tolist(), strict=True), 1):
        where = {"step": 10 * place, "epoch": float(place)}
        rows.append({"loss": loss, "learning_rate": rate, **where})
        rows.append({"eval_loss": loss, **where})
    return rows


def stops(tmp_path: Path, losses: FloatArray, rates: FloatArray, epochs: int, kind: str) -> bool:
    """Say whether the callback stops a run of `epochs` epochs with this log."""
    args = arguments(tmp_path, num_train_epochs=epochs, lr_scheduler_type=kind)
    state = TrainerState(max_steps=10 * epochs, num_train_epochs=epochs)
    state.is_world_process_zero = True
    callback, control = AdvisorCallback(stop=True), TrainerControl()
    callback.on_train_begin(args, state, control)
    state.log_history = history(losses, rates)
    state.global_step, state.epoch = 10 * losses.size, float(losses.size)
    callback.on_evaluate(args, state, control, metrics={"eval_loss": float(losses[-1])})
    assert control.should_training_stop == (callback.reason is not None)
    return bool(control.should_training_stop)


def test_a_run_that_overfits_is_stopped_and_says_why(tmp_path: Path) -> None:
    callback = AdvisorCallback(stop=True)
    made = trainer(tmp_path, callback)
    made.train()
    assert made.state.global_step < made.state.max_steps
    assert callback.reason is not None
    assert callback.reason["policy"] == POLICY
    assert callback.reason["step"] == made.state.global_step
    assert "twice in a row" in callback.reason["reason"]
    assert min(evals(made)) < evals(made)[-1]


def test_it_stops_where_should_stop_would_and_not_before(tmp_path: Path) -> None:
    made = trainer(tmp_path, AdvisorCallback(stop=True))
    made.train()
    state = made.state
    run = run_so_far(made.args, state)
    assert ftadvise.should_stop(run).stop
    last = len(run.eval)
    for count in range(1, last):
        seen = [row for row in state.log_history if row["step"] <= EVERY * count]
        earlier = TrainerState(
            log_history=seen, max_steps=state.max_steps, global_step=EVERY * count
        )
        earlier.epoch = earlier.global_step / 4
        assert not ftadvise.should_stop(run_so_far(made.args, earlier)).stop


def test_without_stop_no_run_is_stopped(tmp_path: Path) -> None:
    callback = AdvisorCallback()
    made = trainer(tmp_path, callback)
    made.train()
    assert made.state.global_step == made.state.max_steps
    assert callback.reason is None


def test_a_plateau_before_a_decay_that_still_pays_is_not_stopped(tmp_path: Path) -> None:
    losses = np.concatenate([1.0 + np.exp(-np.arange(6.0)), 1.0 + 0.0005 * np.cos(np.arange(30))])
    flat = np.full(losses.size, 1e-4)
    assert stops(tmp_path, losses, flat, 40, "constant")
    assert not stops(tmp_path, losses, flat, 40, "warmup_stable_decay")


def test_the_last_evaluation_of_a_run_is_no_stop(tmp_path: Path) -> None:
    losses = 1.0 + 0.2 * np.arange(12.0)
    flat = np.full(losses.size, 1e-4)
    assert stops(tmp_path, losses, flat, 20, "constant")
    assert not stops(tmp_path, losses, flat, losses.size, "constant")


def test_the_forecast_is_shown_with_the_evaluation_but_stands_in_no_log(tmp_path: Path) -> None:
    callback, later = AdvisorCallback(share=math.inf), Saw()
    made = trainer(tmp_path, callback, later, num_train_epochs=4)
    made.train()
    shown = [row for row in later.logs if FORECAST in row]
    assert len(later.logs) == 8
    # From the third evaluation on, and not for the last, after which nothing comes.
    assert [row["epoch"] for row in shown] == [1.5, 2.0, 2.5, 3.0, 3.5]
    assert all(0.0 <= row[CHANCE] <= 1.0 for row in shown)
    assert CHANCE not in later.logs[-1]
    logged = {key for row in made.state.log_history for key in row}
    assert not {FORECAST, CHANCE} & logged
    seen = [row for row in made.state.log_history if row["step"] <= 14]
    state = TrainerState(log_history=seen, max_steps=16, global_step=14, epoch=3.5)
    expected = ftadvise.forecast(run_so_far(made.args, state), at=4.0)
    assert shown[-1][FORECAST] == expected.median


def test_a_forecast_that_would_take_too_much_of_the_time_is_left_out(tmp_path: Path) -> None:
    callback, later = AdvisorCallback(share=1e-6), Saw()
    trainer(tmp_path, callback, later, num_train_epochs=4).train()
    assert [row["epoch"] for row in later.logs if FORECAST in row] == [1.5]
    assert [row["epoch"] for row in later.logs if CHANCE in row] == [1.5, 2.0, 2.5, 3.0, 3.5]


def test_what_it_sees_is_what_a_reader_sees_in_the_saved_state(tmp_path: Path) -> None:
    made = trainer(tmp_path, num_train_epochs=3)
    made.train()
    made.state.save_to_json(str(tmp_path / "trainer_state.json"))
    saved, live = ftadvise.read(tmp_path / "trainer_state.json"), run_so_far(made.args, made.state)
    for one, other in ((saved.train, live.train), (saved.eval, live.eval)):
        assert one.loss.tolist() == other.loss.tolist()
        assert one.step.tolist() == other.step.tolist()
        assert one.epoch.tolist() == other.epoch.tolist()
    assert saved.lr.rate.tolist() == live.lr.rate.tolist()
    assert (saved.planned_epochs, saved.planned_steps) == (live.planned_epochs, live.planned_steps)
    assert (live.planned_epochs, live.planned_steps) == (3.0, 12.0)
    assert live.settings.lr_scheduler_type == "constant"
    assert live.settings.eval_steps == saved.settings.eval_steps == EVERY


def test_the_epochs_of_a_run_that_is_planned_in_steps_are_known_from_its_course(
    tmp_path: Path,
) -> None:
    args = arguments(tmp_path, max_steps=30)
    state = TrainerState(max_steps=30, global_step=10, epoch=2.5)
    assert run_so_far(args, state).planned_epochs == 7.5
    assert run_so_far(args, TrainerState(max_steps=30)).planned_epochs is None


def test_the_advice_comes_at_the_end_in_one_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callback = AdvisorCallback()
    made = trainer(tmp_path, callback, num_train_epochs=5)
    assert callback.advice is None
    made.train()
    assert callback.advice is not None
    expected = ftadvise.advise(run_so_far(made.args, made.state))
    assert callback.advice.to_dict() == expected.to_dict()
    messages = [r.getMessage() for r in caplog.records if r.name == advisor.__name__]
    assert len(messages) == 1
    assert messages[0].startswith(f"the next run: {expected.num_train_epochs} epoch")


def test_a_run_with_the_callback_has_the_weights_of_one_without(tmp_path: Path) -> None:
    plain, advised = trainer(tmp_path / "a"), trainer(tmp_path / "b", AdvisorCallback())
    for made in (plain, advised):
        made.args.num_train_epochs = 3
        made.train()
    one, other = weights(plain.model), weights(advised.model)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("error", [LogError("odd log"), ZeroDivisionError("odd number")])
@pytest.mark.parametrize("what", ["forecast", "should_stop", "advise", "run_so_far"])
def test_an_error_inside_is_logged_once_and_the_training_goes_on(
    what: str,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(advisor if what == "run_so_far" else live_advice, what, fails)
    callback = AdvisorCallback(stop=True)
    made = trainer(tmp_path, callback, num_train_epochs=3)
    made.train()
    assert made.state.global_step == 12
    assert callback.advice is None
    messages = [r.getMessage() for r in caplog.records if r.name == advisor.__name__]
    assert len(messages) == 1
    assert str(error) in messages[0]


def test_a_run_without_evaluations_trains_to_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callback = AdvisorCallback(stop=True)
    made = trainer(tmp_path, callback, eval_strategy="no", num_train_epochs=2)
    made.train()
    assert made.state.global_step == 8
    assert callback.advice is not None  # by habit, from the train loss


def test_evaluations_outside_of_a_training_are_left_alone(tmp_path: Path) -> None:
    callback = AdvisorCallback(stop=True)
    made = trainer(tmp_path, callback)
    before = made.evaluate()
    made.train()
    assert made.state.global_step < made.state.max_steps
    after = made.evaluate()
    for metrics in (before, after):
        assert not {FORECAST, CHANCE} & set(metrics)


def test_of_several_eval_sets_the_named_one_is_watched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callback, later = AdvisorCallback(metric="eval_one_loss", share=math.inf), Saw()
    made = trainer(tmp_path, callback, later, num_train_epochs=3)
    made.eval_dataset = {"other": ragged_dataset(8, seed=4), "one": ragged_dataset(8, seed=2)}
    made.train()
    assert callback.advice is not None
    assert callback.advice.run.eval.key == "eval_one_loss"
    assert callback.forecast is not None
    assert len([r for r in caplog.records if r.name.startswith("ftadvise_trainer")]) == 1


def test_a_resumed_run_stops_where_the_whole_one_did(tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": EVERY}
    whole = trainer(tmp_path, AdvisorCallback(stop=True), **saving)
    whole.train()
    end = whole.state.global_step
    for step in (EVERY, end - EVERY):
        callback = AdvisorCallback(stop=True)
        resumed = trainer(tmp_path / str(step), callback)
        resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
        assert resumed.state.global_step == end
        assert callback.reason is not None
        assert evals(resumed) == evals(whole)


def test_a_run_that_had_stopped_is_not_trained_on_by_a_resume(tmp_path: Path) -> None:
    whole = trainer(tmp_path, AdvisorCallback(stop=True), save_strategy="steps", save_steps=EVERY)
    whole.train()
    before = weights(whole.model)
    callback = AdvisorCallback(stop=True)
    resumed = trainer(tmp_path / "more", callback)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{whole.state.global_step}"))
    after = weights(resumed.model)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert evals(resumed) == evals(whole)
    assert callback.advice is not None


def held_optimizers(model: Any, total: int) -> tuple[Any, Any]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    return optimizer, hold_then_decay(optimizer, total, decay_steps=4)


def test_in_a_plain_trainer_it_begins_the_decay_and_ends_the_run_with_it(tmp_path: Path) -> None:
    callback = AdvisorCallback(anneal=True, stop=True)
    made = trainer(tmp_path, callback)
    made.optimizer, made.lr_scheduler = held_optimizers(made.model, 80)
    made.train()
    rule = rule_of(made.lr_scheduler)
    assert rule is not None
    assert rule.start is not None
    assert made.state.global_step == rule.start + 4 < 80
    assert callback.reason is not None
    assert "come down to zero" in callback.reason["reason"]
    assert made.state.log_history[-2]["eval_loss"] == evals(made)[-1]
    assert callback.advice is not None
    assert callback.advice.run.planned_epochs == made.state.epoch


def test_anneal_says_that_it_can_do_nothing_about_a_fixed_schedule(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = trainer(tmp_path, AdvisorCallback(anneal=True), num_train_epochs=2)
    made.train()
    assert made.state.global_step == 8
    assert "anneal=True does nothing" in caplog.text


def test_it_works_in_the_fine_tuner_and_among_its_callbacks(tmp_path: Path) -> None:
    callback = AdvisorCallback(stop=True)
    data = equal_dataset(16)
    args = arguments(tmp_path, num_train_epochs=5, eval_strategy="epoch")
    made = FineTuner(
        tiny_model(),
        args,
        data_collator=pad,
        train_dataset=data,
        eval_dataset=data,
        callbacks=[callback],
    )
    made.train()
    assert callback.forecast is not None
    assert callback.advice is not None


# trl warns of its own experimental parts, and of a processor that it makes without one.
@pytest.mark.filterwarnings("ignore")
def test_it_works_in_an_sft_trainer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    tokenizers = pytest.importorskip("tokenizers")
    from transformers import PreTrainedTokenizerFast

    words = {word: place for place, word in enumerate(["<pad>", "<s>", "</s>", *"abcdefgh"])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **special)
    letters = random.Random(0)  # nothing to learn but by heart
    texts = [" ".join(letters.choices("abcdefgh", k=8)) for _ in range(24)]
    rows = datasets.Dataset.from_dict({"text": texts})
    callback, later = AdvisorCallback(stop=True, share=math.inf), Saw()
    args = trl.SFTConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        logging_steps=1,
        learning_rate=2e-2,
        lr_scheduler_type="constant",
        num_train_epochs=30,
        eval_strategy="epoch",
        per_device_train_batch_size=8,
        max_length=16,
        seed=3,
    )
    made = trl.SFTTrainer(
        model=tiny_model(),
        args=args,
        train_dataset=rows.select(range(16)),
        eval_dataset=rows.select(range(16, 24)),
        processing_class=tokenizer,
        callbacks=[callback, later],
    )
    made.train()
    assert callback.reason is not None
    assert made.state.global_step < made.state.max_steps
    assert callback.advice is not None
    assert FORECAST in later.logs[3]
    assert "the advisor says no more" not in caplog.text


def test_what_it_says_reaches_the_standard_loggers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer(tmp_path, AdvisorCallback(), num_train_epochs=3).train()
    levels = {r.levelno for r in caplog.records if r.name == advisor.__name__}
    assert levels == {logging.WARNING}
