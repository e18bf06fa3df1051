"""What `train --auto` chooses from the past, and what it leaves to the config."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from made_runs import make_run

from ftadvise.advising import advise
from ftadvise.carrying import Change
from ftadvise.history.facts import Facts
from ftadvise.run import Series
from ftadvise_trainer.auto.choice import CAP, Choice, Past, choose
from ftadvise_trainer.auto.merge import merged
from ftadvise_trainer.config import Config, TrainingConfig
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from ftadvise.run import Run

FACTS = Facts(model="qwen", data="abc", learning_rate=1e-4, method="full")
STEPS = 40


def past(run: Run | None = None, **known: Any) -> Past:
    return Past(run or make_run(), replace(FACTS, **known), "before.json")


def config(*written: str, **training: Any) -> Config:
    return Config(training=replace(TrainingConfig(), **training), written=frozenset(written))


def test_the_same_fine_tune_gives_its_advice() -> None:
    lead = past()
    found = choose(FACTS, STEPS, [lead])
    advised = advise(lead.run).recommendation
    assert found.settings["num_train_epochs"] == advised.num_train_epochs
    assert found.settings["early_stopping_patience"] == advised.early_stopping_patience
    assert "lr_scheduler_type" not in found.settings
    assert found.prediction is not None
    assert found.prediction.eval_loss == advised.expected_eval_loss
    assert "before.json" in found.lines[0]


def test_evaluations_are_as_often_in_an_epoch_however_many_steps_that_has() -> None:
    lead = past()
    advised = advise(lead.run).recommendation
    assert advised.eval_steps is not None
    per_epoch = round((lead.run.steps_per_epoch or 0) / advised.eval_steps)
    assert choose(FACTS, 1000, [lead]).settings["eval_steps"] == round(1000 / per_epoch)


@pytest.mark.parametrize("known", [{"data": "xyz"}, {"model": "llama"}, {"learning_rate": 1e-5}])
def test_another_fine_tune_leaves_the_number_of_epochs_open_and_says_why(
    known: dict[str, Any],
) -> None:
    lead = past(**known)
    found = choose(FACTS, STEPS, [lead])
    assert found.settings["lr_scheduler_type"] == "auto"
    assert found.settings["early_stopping_patience"] is None
    assert found.prediction is None
    advised = advise(lead.run, change=Change(lead.facts, FACTS)).recommendation.num_train_epochs
    assert found.settings["num_train_epochs"] >= advised
    assert "carried over" in found.lines[0]


def test_a_run_of_the_same_fine_tune_goes_before_a_newer_one_of_another() -> None:
    found = choose(FACTS, STEPS, [past(data="xyz"), replace(past(), where="same.json")])
    assert "same.json" in found.lines[0]
    assert found.prediction is not None


def test_without_a_past_the_run_decides_itself_when_to_end() -> None:
    found = choose(FACTS, STEPS, [])
    assert found.settings["lr_scheduler_type"] == "auto"
    assert found.settings["num_train_epochs"] == CAP
    assert found.settings["eval_steps"] == STEPS / 2
    assert found.prediction is None


def test_a_log_that_is_too_short_to_advise_from_is_passed_over() -> None:
    run = make_run()
    short = replace(run, train=Series(), eval=run.eval.take(run.eval.epoch < 0.6))
    assert choose(FACTS, STEPS, [past(short)]).settings["num_train_epochs"] == CAP
    assert choose(FACTS, STEPS, [past(short), past()]).prediction is not None


def test_an_epoch_of_one_step_is_evaluated_at_every_step() -> None:
    assert choose(FACTS, 1, []).settings["eval_steps"] == 1


CHOICE = choose(FACTS, STEPS, [past()])
OPEN = choose(FACTS, STEPS, [])


def test_what_the_config_sets_is_left_alone_and_the_difference_is_said() -> None:
    settled = merged(config("num_train_epochs", num_train_epochs=99.0), CHOICE, override=False)
    assert settled.config.training.num_train_epochs == 99.0
    assert settled.config.training.eval_steps == CHOICE.settings["eval_steps"]
    assert settled.prediction is None
    assert any("sets num_train_epochs 99" in line for line in settled.lines)


def test_override_sets_it_all_the_same() -> None:
    settled = merged(config("num_train_epochs", num_train_epochs=99.0), CHOICE, override=True)
    assert settled.config.training.num_train_epochs == CHOICE.settings["num_train_epochs"]
    assert settled.prediction == CHOICE.prediction


def test_a_cadence_of_which_a_part_is_written_is_left_whole() -> None:
    settled = merged(config("save_steps", save_steps=7), CHOICE, override=False)
    assert settled.config.training.save_steps == 7
    assert settled.config.training.eval_steps is None


@pytest.mark.parametrize("key", ["lr_scheduler_type", "early_stopping_patience"])
def test_a_config_that_rules_an_open_run_out_keeps_its_schedule_and_its_length(key: str) -> None:
    value = {"lr_scheduler_type": "cosine", "early_stopping_patience": 2}[key]
    settled = merged(config(key, **{key: value}), OPEN, override=False)
    assert settled.config.training.lr_scheduler_type != "auto"
    assert settled.config.training.num_train_epochs == TrainingConfig().num_train_epochs


def test_a_recipe_of_the_family_gives_way_and_is_no_longer_named() -> None:
    given = replace(
        config(num_train_epochs=3.0), sources={"num_train_epochs": "a paper", "weight_decay": "it"}
    )
    settled = merged(given, CHOICE, override=False)
    assert settled.config.sources == {"weight_decay": "it"}


def test_a_config_that_sets_everything_is_told_so() -> None:
    settled = merged(config(*CHOICE.settings), CHOICE, override=False)
    assert settled.config == config(*CHOICE.settings)
    assert "nothing is left to choose" in settled.lines[-1]


def test_a_choice_names_a_source_for_each_setting() -> None:
    for choice in (CHOICE, OPEN):
        assert isinstance(choice, Choice)
        assert choice.why.keys() == choice.settings.keys()


def test_of_other_fine_tunes_the_one_with_the_fewest_differences_decides() -> None:
    both = replace(past(data="xyz", learning_rate=1e-5), where="both.json")
    found = choose(FACTS, STEPS, [both, replace(past(learning_rate=1e-5), where="rate.json")])
    assert "rate.json" in found.lines[0]


@pytest.mark.parametrize("choice", [CHOICE, OPEN])
def test_a_config_without_evaluations_gets_nothing_that_needs_them(choice: Choice) -> None:
    given = config("eval_strategy", eval_strategy="no", load_best_model_at_end=False)
    settled = merged(given, choice, override=False)
    training = settled.config.training
    assert training.lr_scheduler_type != "auto"
    assert training.early_stopping_patience is None
    assert training.eval_strategy == "no"


@pytest.mark.parametrize("choice", [CHOICE, OPEN])
def test_a_length_in_steps_is_kept_and_nothing_is_foretold_of_it(choice: Choice) -> None:
    settled = merged(config("max_steps", more={"max_steps": 40}), choice, override=False)
    assert settled.config.training.num_train_epochs == TrainingConfig().num_train_epochs
    assert settled.config.training.more == {"max_steps": 40}
    assert settled.prediction is None
    assert not any("expected eval loss" in line for line in settled.lines)
    assert not any(f"for {CAP} epochs" in line for line in settled.lines)


def test_keywords_of_the_auto_schedule_go_with_it_and_away_without_it() -> None:
    given = config("lr_scheduler_kwargs", more={"lr_scheduler_kwargs": {"decay_epochs": 0.5}})
    open_run = merged(given, OPEN, override=False).config.training
    assert open_run.lr_scheduler_type == "auto"
    assert open_run.more == given.training.more
    assert merged(given, CHOICE, override=False).config.training.more == {}


def test_override_takes_away_what_would_end_or_bend_an_open_run() -> None:
    given = config(
        "stop_when_eval_rises_while_train_falls",
        lr_scheduler_type="cosine",
        early_stopping_patience=2,
        early_stopping_threshold=0.01,
        stop_when_eval_rises_while_train_falls=3,
        more={"max_steps": 30, "lr_scheduler_kwargs": {"num_cycles": 1}, "optim": "sgd"},
    )
    training = merged(given, OPEN, override=True).config.training
    assert training.lr_scheduler_type == "auto"
    assert training.early_stopping_patience is None
    assert training.stop_when_eval_rises_while_train_falls is None
    assert training.more == {"optim": "sgd"}


def test_what_kind_of_run_it_will_be_is_only_said_where_it_will_be_one() -> None:
    held = "the rate is held"
    assert any(held in line for line in merged(config(), OPEN, override=False).lines)
    given = config("lr_scheduler_type", lr_scheduler_type="cosine")
    assert not any(held in line for line in merged(given, OPEN, override=False).lines)


def test_what_does_not_go_with_the_config_is_refused_in_words() -> None:
    edited = replace(OPEN, settings={**OPEN.settings, "early_stopping_patience": 3})
    with pytest.raises(TrainError, match="before its decay"):
        merged(config(), edited, override=False)
