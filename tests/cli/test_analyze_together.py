"""`ftadvise analyze` of several logs of one fine-tune, and its price."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftadvise.cli import main

pytestmark = pytest.mark.usefixtures("at_root")


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def log(folder: Path, epochs: int, lowest: float) -> str:
    """Write a run of 100 steps an epoch that ends at `lowest`."""
    rows: list[dict[str, float]] = []
    for half in range(1, 2 * epochs + 1):
        epoch = half / 2
        loss = 0.9 * (1.0 + 0.5 / (epoch * 5 / epochs + 0.3)) - 0.15 * epoch
        rate = 1e-4 * (1.0 - epoch / epochs)
        rows.append({"epoch": epoch, "step": 50.0 * half, "loss": loss, "learning_rate": rate})
        ahead = 0.4 * (2.7 ** (-5.0 * epoch / epochs) - 2.7**-5.0)
        rows.append({"epoch": epoch, "step": 50.0 * half, "eval_loss": lowest * (1.0 + ahead)})
    path = folder / f"{epochs}.json"
    state = {"num_train_epochs": epochs, "max_steps": 100 * epochs, "log_history": rows}
    path.write_text(json.dumps(state), encoding="utf-8")
    return str(path)


@pytest.fixture
def logs(tmp_path: Path) -> list[str]:
    return [log(tmp_path, e, x) for e, x in ((3, 1.10), (5, 1.05), (7, 1.08))]


def test_the_checkpoint_to_keep_is_the_best_of_all_runs_and_is_named(logs: list[str]) -> None:
    told = ft("analyze", *logs).stdout.partition("Together")[2]
    where = " ".join(told.partition("Or keep")[2].partition("Overfitting")[0].split())
    assert where.startswith("the checkpoint of epoch 5")
    assert "/5.json; training again" in where
    joint = json.loads(ft("analyze", *logs, "--format", "json").stdout)[-1]
    assert (joint["keep"]["path"], joint["keep"]["epoch"]) == (logs[1], 5.0)
    assert f"of {logs[1]}" in ft("analyze", *logs, "--format", "markdown").stdout


def test_a_log_given_twice_is_one_log(logs: list[str]) -> None:
    assert "Together" not in ft("analyze", logs[0], logs[0]).stdout
    joint = json.loads(ft("analyze", *logs, logs[0], "--format", "json").stdout)[-1]
    assert joint["same"] == [logs[1], logs[2], logs[0]]


def test_separate_answers_for_each_log_alone(logs: list[str]) -> None:
    assert "Together" not in ft("analyze", "--separate", *logs).stdout


@pytest.mark.parametrize("price", ["nan", "inf", "-1", "1e400", "abc"])
def test_a_price_that_is_no_number_from_zero_up_is_refused(price: str, logs: list[str]) -> None:
    result = ft("analyze", logs[0], "--price", price)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "[FT411]" in result.stderr
    assert "bug" not in result.stderr


def test_a_high_price_makes_the_run_shorter_and_the_reason_says_so(logs: list[str]) -> None:
    told = ft("analyze", logs[1], "--price", "50").stdout
    assert "Next run     1 epoch\n" in told
    assert "price of 50 % of the loss an epoch" in " ".join(told.split())


def test_a_forecast_past_the_end_of_the_run_it_is_of_is_refused(logs: list[str]) -> None:
    result = ft("forecast", logs[0], "--at", "8", "--epochs", "5")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "past the end" in result.stderr
