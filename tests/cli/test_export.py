from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

import ftadvise
from ftadvise.advice import Advice
from ftadvise.cli import export as export_command
from ftadvise.cli import main
from ftadvise.config import exports
from ftadvise.stop_rules import cumulative_stop, lightning_stop, transformers_stop

CHAT = "examples/chat/trainer_state.json"
QWEN = "examples/qwen/training_metrics.json"
PYTHON = ("hf", "trl", "lightning", "keras")
YAML = ("ftadvise", "axolotl", "llama-factory")

pytestmark = pytest.mark.usefixtures("at_root")


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.fixture(scope="module")
def chat() -> Advice:
    return ftadvise.advise(ftadvise.read(Path(__file__).parents[2] / CHAT))


def without_steps(folder: Path) -> Path:
    path = folder / "log.json"
    history = [{"epoch": e, "eval_loss": 2.0 / e + 0.1 * e} for e in range(1, 9)]
    path.write_text(json.dumps({"history": history}))
    return path


@pytest.mark.parametrize("tool", exports.TOOLS)
def test_a_snippet_says_why_and_nothing_runs_on(tool: str) -> None:
    result = ft("export", CHAT, "--to", tool)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"# The next run, as ftadvise reads it off {CHAT}\n")
    assert "chance of stopping too early" in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 120


@pytest.mark.parametrize("tool", PYTHON)
@pytest.mark.parametrize("log", [CHAT, QWEN])
def test_a_snippet_for_a_script_is_python(tool: str, log: str) -> None:
    compile(ft("export", log, "--to", tool).stdout, tool, "exec")


@pytest.mark.parametrize(
    ("tool", "names"),
    [
        ("ftadvise", ("num_train_epochs", "eval_steps", "early_stopping_patience")),
        ("axolotl", ("num_epochs", "eval_steps", "early_stopping_patience")),
        ("llama-factory", ("num_train_epochs", "eval_steps", "early_stopping_steps")),
    ],
)
def test_a_snippet_for_a_yaml_holds_the_advice(
    chat: Advice, tool: str, names: tuple[str, ...]
) -> None:
    read: dict[str, Any] = yaml.safe_load(ft("export", CHAT, "--to", tool).stdout)
    read = read.get("training", read)
    advised = chat.recommendation
    assert [read[name] for name in names] == [
        advised.num_train_epochs,
        advised.eval_steps,
        advised.early_stopping_patience,
    ]
    assert read["save_steps"] == advised.save_steps
    assert read["load_best_model_at_end"] is True
    assert ("early_stopping_threshold" in read) == (tool == "ftadvise")


def test_where_steps_are_unknown_axolotl_gets_a_share_of_the_run(tmp_path: Path) -> None:
    log = str(without_steps(tmp_path))
    read = yaml.safe_load(ft("export", log, "--to", "axolotl").stdout)
    assert read["eval_steps"] == read["save_steps"]
    for steps in range(3, 2000):  # as transformers counts: up to a whole step
        assert -(-read["num_epochs"] * steps * read["eval_steps"] // 1) == steps
    assert "eval_steps" not in yaml.safe_load(ft("export", log, "--to", "llama-factory").stdout)


def test_the_name_of_a_log_cannot_leave_its_comment(tmp_path: Path) -> None:
    folder = tmp_path / "a\nimport os\r# \u202e"
    folder.mkdir()
    log = without_steps(folder)
    for tool in exports.TOOLS:
        first = ft("export", str(log), "--to", tool).stdout.splitlines()[0]
        assert "import os" in first
        assert "\u202e" not in first


@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.1])
def test_the_rule_of_another_trainer_never_stops_earlier_than_the_one_rehearsed(
    threshold: float,
) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    losses = 1.0 / np.arange(1.0, 31.0) + 0.1 * rng.standard_normal((500, 30))
    for patience in (1, 2, 5):
        rehearsed = transformers_stop(losses, patience, threshold)
        assert (cumulative_stop(losses, patience, threshold) >= rehearsed).all()
        assert (lightning_stop(losses, patience, threshold) >= rehearsed).all()
        assert (transformers_stop(losses, patience, 0.0) >= rehearsed).all()


def test_several_logs_of_one_fine_tune_give_their_common_answer() -> None:
    assert ft("export", CHAT, CHAT, "--to", "hf").exit_code == 0
    result = ft("export", CHAT, QWEN, "--to", "hf")
    assert result.exit_code == 2
    assert "runs of different fine-tunes" in result.stderr


def test_the_snippet_goes_to_a_file_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "advice.py"
    assert ft("export", CHAT, "--to", "hf", "-o", str(path)).stdout == ""
    assert path.read_text() == ft("export", CHAT, "--to", "hf").stdout


def test_an_unknown_tool_is_refused(chat: Advice) -> None:
    assert ft("export", CHAT, "--to", "nobody").exit_code == 2
    with pytest.raises(ftadvise.FtadviseError, match="no export is called 'nobody'"):
        exports.export(chat, "nobody")


def test_the_tools_of_the_help_are_those_there_are() -> None:
    assert export_command.TOOLS == exports.TOOLS
    assert {*PYTHON, *YAML} == set(exports.TOOLS)
