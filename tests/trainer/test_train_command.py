"""`ftadvise train` as it is typed, and what it says it would take."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from made_dry_runs import made_dry_run

from ftadvise_trainer import commands
from ftadvise_trainer.config import Config
from ftadvise_trainer.errors import TrainError

ROOT = Path(__file__).parents[2]
TINY = str(ROOT / "examples" / "tiny" / "training.yaml")


@dataclass
class Outcome:
    final: Path | None = Path("checkpoints/final")
    exit_code: int = 0


Fake = Callable[..., Outcome]


@pytest.fixture
def cli() -> click.Group:
    group = click.Group()
    commands.register_commands(group)
    return group


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a training room in place that notes how it was called."""
    found: list[dict[str, Any]] = []

    def train(config: Config, **how: Any) -> Outcome:
        found.append({"config": config, **how})
        how["stream"].write("progress\n")
        return Outcome()

    fake_room(monkeypatch, train)
    return found


def fake_room(monkeypatch: pytest.MonkeyPatch, train: Fake) -> None:
    room = ModuleType("ftadvise_trainer.training")
    room.train = train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ftadvise_trainer.training", room)
    monkeypatch.setattr("ftadvise_trainer.training", room, raising=False)


def run(cli: click.Group, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["train", *arguments])


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=kept, timeout=120, check=False
    )


# What is typed ------------------------------------------------------------------------------------


def test_the_final_model_goes_to_stdout_and_progress_to_stderr(
    cli: click.Group, calls: list[dict[str, Any]]
) -> None:
    result = run(cli, TINY)
    assert result.exit_code == 0, result.output
    assert result.stdout == "checkpoints/final\n"
    assert result.stderr == f"ftadvise train {TINY}\nprogress\n"
    assert calls[0]["resume"] is True
    assert calls[0]["allow_changed"] is False


def test_every_option_reaches_the_run(cli: click.Group, calls: list[dict[str, Any]]) -> None:
    settings = ("--set", "training.seed=7", "--set", "training.learning_rate=2e-5")
    folder = '[#1] "é: '
    result = run(cli, TINY, *settings, "--output-dir", folder, "--no-resume", "--allow-changed")
    assert result.exit_code == 0, result.output
    training = calls[0]["config"].training
    assert (training.seed, training.learning_rate, training.output_dir) == (7, 2e-5, folder)
    assert calls[0]["resume"] is False
    assert calls[0]["allow_changed"] is True


def test_quiet_leaves_the_final_model_alone_on_stdout(
    cli: click.Group, calls: list[dict[str, Any]]
) -> None:
    result = run(cli, TINY, "--quiet")
    assert result.stdout == "checkpoints/final\n"
    assert result.stderr == ""
    assert not isinstance(calls[0]["stream"], io.StringIO), "it would keep everything"


def test_of_several_processes_only_the_first_speaks(
    cli: click.Group, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    result = run(cli, TINY)
    assert (result.stdout, result.stderr) == ("", "")
    assert len(calls) == 1


def test_the_exit_status_is_that_of_the_outcome(
    cli: click.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_room(monkeypatch, lambda config, **how: Outcome(final=None, exit_code=143))
    result = run(cli, TINY)
    assert result.exit_code == 143
    assert result.stdout == ""


def test_an_error_of_the_run_is_passed_on_with_its_exit_code(
    cli: click.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: Config, **how: Any) -> Outcome:
        raise TrainError("the loss is NaN", code="FT508")

    fake_room(monkeypatch, fail)
    result = run(cli, TINY)
    assert isinstance(result.exception, TrainError)
    assert result.exception.exit_code == 4


def test_each_mistake_stands_on_a_line_of_its_own(cli: click.Group) -> None:
    result = run(cli, TINY, "--set", "training.sed=1", "--set", "training.eval_steps=x")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[1:] == [
        "error: --set training.sed: unknown; did you mean seed?",
        "error: --set training.eval_steps: must be a whole number, but is the text 'x'",
        f"error: 2 mistakes in {TINY} [FT501]",
    ]


def test_print_config_goes_to_stdout_alone_and_loads_back(
    cli: click.Group, tmp_path: Path
) -> None:
    result = run(cli, TINY, "--print-config")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "  seed: 42  # set in line" in result.stdout


# What is loaded, and what is missing --------------------------------------------------------------

_CLI = """
import sys
sys.argv = ["ftadvise", "train", *sys.argv[1:]]
from ftadvise.cli import main
from ftadvise_trainer import commands
commands.register_commands(main)
{before}
main()
"""
_FIRST_LINE = """
import click
real = click.echo
def echo(text, **how):
    real(f"{sorted({'torch', 'transformers', 'numpy'} & set(sys.modules))} {text}", **how)
click.echo = echo
"""


def test_the_first_line_is_written_before_torch_is_loaded() -> None:
    done = python(_CLI.format(before=_FIRST_LINE), TINY, "--set", "training.sed=1")
    assert done.stderr.startswith(f"[] ftadvise train {TINY}"), done.stderr


def test_print_config_of_settings_that_are_all_written_loads_neither_torch_nor_transformers() -> (
    None
):
    after = "import atexit; atexit.register(lambda: print(sorted({'torch'} & set(sys.modules))))"
    done = python(_CLI.format(before=after), TINY, "--print-config")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["torch", "transformers", "accelerate", "yaml"])
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(name: str) -> None:
    hidden = f"""
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError(name)
sys.meta_path = [f for f in sys.meta_path]
import importlib.util
real = importlib.util.find_spec
commands.find_spec = lambda n: None if n == {name!r} else real(n)
"""
    done = python(_CLI.format(before=hidden), TINY)
    shown = {"yaml": "PyYAML"}.get(name, name)
    assert done.returncode == 2
    assert f"training needs {shown}: pip install 'ftadvise[train]' [FT509]" in done.stderr
    listed = python(_CLI.format(before=hidden).replace('"train", ', ""), "--help")
    assert "train " in listed.stdout


def test_lora_asks_for_peft(cli: click.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "find_spec", lambda n: None if n == "peft" else find_spec(n))
    result = run(cli, TINY, "--set", "lora.r=4")
    assert isinstance(result.exception, TrainError)
    assert "training needs peft" in result.exception.message


# The dry run ------------------------------------------------------------------------------------


def test_a_dry_run_of_the_example_says_what_the_run_takes_and_writes_nothing(
    cli: click.Group, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "b"
    result = run(cli, TINY, "--dry-run", "--output-dir", str(folder))
    assert result.exit_code == 0, result.exception
    examples = len((ROOT / "examples/tiny/train.jsonl").read_text().splitlines())
    per_epoch = math.ceil(examples / 8)
    assert f"{per_epoch} in an epoch: {examples} examples, 8 in a step" in result.stdout
    assert f"{10 * per_epoch} in 10 epochs, with 10 evaluations" in result.stdout
    assert "float32 master weights" in result.stdout
    assert "⟦" in result.stdout.split("example, what is trained in marks:")[1]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_that_finds_no_room_on_the_disk_exits_as_the_run_would(
    cli: click.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_room = made_dry_run(disk_free=39)
    monkeypatch.setattr("ftadvise_trainer.dryrun.dry_run", lambda config, **how: no_room)
    assert run(cli, TINY, "--dry-run").exit_code == 3
