"""What names of series mean."""

from __future__ import annotations

import pytest

from ftadvise.readers.series.keys import meaning, split_of


@pytest.mark.parametrize(
    "name",
    [
        "train_loss", "loss", "train_losses", "training_loss", "train loss", "Training Loss",
        "losses", "epoch_loss", "epoch_losses", "train_losses_history", "avg_loss", "total_loss",
        "g_loss", "rnn_loss", "train_mse", "rmse", "train_rmse_curve", "train/loss", "lm loss",
        "trainLoss", "train_loss_step", "trainloss", "loss_log", "cross_entropy", "train-logloss",
    ],
)  # fmt: skip
def test_train_losses_are_known(name: str) -> None:
    assert meaning(name).role == "train"


@pytest.mark.parametrize(
    "name",
    [
        "val_loss", "eval_loss", "val_losses", "test_loss", "validation_loss", "valid_loss",
        "eval_losses_history", "val_rmse_curve", "loss/valid", "Validation Loss", "valid_nll_loss",
        "dev.loss", "val_mse", "valLoss", "held_out_loss", "eval_g0_loss", "valid_0's binary_logloss",
    ],
)  # fmt: skip
def test_held_out_losses_are_known(name: str) -> None:
    assert meaning(name).role == "eval"


@pytest.mark.parametrize(
    "name",
    [
        "best_val_loss", "loss_min", "capital-loss", "train_accuracy", "runtime", "perplexity",
        "loss_scale", "loss_weight", "val_ppl", "epoch_time", "time per epoch", "batch_size",
        "steps_per_second", "loss_fn", "final_loss", "last_layer_lr", "", "损失", "x" * 5000,
    ],
)  # fmt: skip
def test_names_that_only_look_like_it_mean_nothing(name: str) -> None:
    assert meaning(name).role == "other"


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("step", "step"), ("global_step", "step"), ("current_steps", "step"), ("iteration", "step"),
        ("train_steps", "step"), ("num_updates", "step"), ("_step", "step"), ("batch", "step"),
        ("epoch", "epoch"), ("epochs", "epoch"), ("round", "epoch"), ("Epoch", "epoch"),
        ("learning_rate", "rate"), ("lr", "rate"), ("train_lr", "rate"), ("lr-Adam", "rate"),
        ("total_steps", "total_steps"), ("grad_norm", "gradient"), ("train/grad_norm", "gradient"), ("x/lr0", "rate"),
        ("tr_loss", "train"), ("va_loss", "eval"),
    ],
)  # fmt: skip
def test_axes_and_rates_are_known(name: str, role: str) -> None:
    assert meaning(name).role == role


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("train_loss", "total_loss"), ("loss", "lm_loss"), ("total_loss", "ibot_loss"),
        ("rnn_loss", "log_loss"), ("log_loss", "train_mse"), ("val_loss", "test_loss"),
        ("val_loss", "eval_loss"), ("eval_loss", "dev_loss"), ("global_step", "step"),
        ("step", "batch"),
    ],
)  # fmt: skip
def test_better_names_come_first(better: str, worse: str) -> None:
    assert meaning(better).rank < meaning(worse).rank


def test_containers_say_what_a_bare_loss_is_about() -> None:
    assert meaning("loss", ("history", "val")).role == "eval"
    assert meaning("train_loss", ("eval",)).role == "train"
    assert split_of("training_history") == "train"
    assert split_of("value") == ""
