from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ftadvise.cli import main

QWEN = "examples/qwen/training_metrics.json"
CHAT = "examples/chat/trainer_state.json"

pytestmark = pytest.mark.usefixtures("at_root")


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def told(*args: str) -> Any:
    return json.loads(ft(*args, "--format", "json").stdout)


def test_help_lists_every_command_with_a_line_of_help() -> None:
    text = ft("--help").stdout
    for name in ("analyze", "forecast", "replay", "rule", "plugins"):
        assert f"\n  {name} " in text


def test_no_arguments_show_the_help() -> None:
    result = ft()
    assert result.exit_code == 0
    assert result.stdout == ft("--help").stdout


@pytest.mark.parametrize("name", ["analyze", "forecast", "replay", "rule", "plugins"])
def test_each_command_has_help_and_its_name(name: str) -> None:
    result = ft(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: ftadvise {name} ")


def test_an_unknown_command_is_answered_with_the_nearest_one() -> None:
    result = ft("analize", "x.json")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: no command is called 'analize' [FT411]",
        "hint: Did you mean `ftadvise analyze`?",
    ]


def test_a_log_in_place_of_a_command_is_answered_with_analyze() -> None:
    hint = ft(QWEN).stderr.splitlines()[1]
    assert hint == f"hint: Did you mean `ftadvise analyze {QWEN}`?"


@pytest.mark.parametrize(
    "args", [["--nope"], ["analyze"], ["analyze", QWEN, "--format", "xml"], ["forecast", QWEN]]
)
def test_bad_usage_exits_with_2_and_a_hint(args: list[str]) -> None:
    result = ft(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("hint: ")


def test_a_plugin_can_add_a_command_and_cannot_replace_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Registry:
        def call_commands(self, cli: click.Group) -> None:
            cli.add_command(click.Command("extra", callback=lambda: 3, short_help="More."))
            cli.add_command(click.Command("rule", callback=lambda: 4))

        def collect(self, hook: str) -> list[object]:
            return []

    monkeypatch.setattr("ftadvise.plugins.third_party", Registry)
    monkeypatch.setattr(main, "_plugins_asked", False)
    monkeypatch.setattr(main, "commands", {})
    assert "  extra       More." in ft("--help").stdout
    assert ft("extra").exit_code == 3
    assert ft("rule").exit_code == 0


def test_forecast_says_the_loss_with_its_range() -> None:
    result = ft("forecast", CHAT, "--at", "5")
    assert result.exit_code == 0
    assert result.stdout.startswith("eval loss of this run at epoch 5: ")
    found = told("forecast", CHAT, "--at", "6", "--epochs", "6")
    assert found["schema"] == "ftadvise.forecast/1"
    assert found["low"] < found["median"] < found["high"]


@pytest.mark.parametrize("at", ["0", "-1", "nan", "inf", "x"])
def test_forecast_refuses_an_epoch_that_is_no_positive_number(at: str) -> None:
    result = ft("forecast", CHAT, f"--at={at}")
    assert result.exit_code == 2
    assert "--at" in result.stderr


def test_replay_shows_the_customary_policies_without_being_asked() -> None:
    lines = ft("replay", CHAT).stdout.splitlines()
    assert lines[0] == "Replayed on 8 evaluations of the eval loss"
    assert len(lines) == 3 + 7


def test_replay_takes_policies_with_settings() -> None:
    found = told("replay", CHAT, "--policy", "keras:patience=2", "--policy", "transformers")
    assert [r["policy"].split(":")[0] for r in found["replays"]] == ["keras", "transformers"]
    assert all(r["stopped"] for r in found["replays"])


def test_replay_answers_an_unknown_policy_with_the_nearest_one() -> None:
    result = ft("replay", CHAT, "--policy", "kears")
    assert result.exit_code == 2
    assert "Did you mean 'keras'?" in result.stderr


def test_rule_lists_every_code_with_a_summary() -> None:
    lines = ft("rule").stdout.splitlines()
    assert all(line.startswith("FT") and len(line.split()) > 3 for line in lines)
    assert [r["code"] for r in told("rule")] == [line.split()[0] for line in lines]


@pytest.mark.parametrize("code", ["FT101", "ft101"])
def test_rule_explains_a_code_in_upper_or_lower_case(code: str) -> None:
    text = ft("rule", code).stdout
    for heading in ("What it means", "Why it matters", "Example", "What to do"):
        assert f"\n{heading}\n" in text
        assert told("rule", code)["sections"][heading]


def test_what_rule_explains_fits_into_eighty_columns() -> None:
    for rule in told("rule"):
        assert max(map(len, ft("rule", rule["code"]).stdout.splitlines())) <= 80, rule["code"]


def test_rule_answers_an_unknown_code_with_the_nearest_one() -> None:
    result = ft("rule", "FT1O1")
    assert result.exit_code == 2
    assert "Did you mean 'FT101'?" in result.stderr


def test_plugins_says_what_each_of_them_adds_and_how_to_block_one() -> None:
    text = ft("plugins").stdout
    assert "  readers:\n    trainer_state    trainer_state.json of transformers," in text
    assert "  stop policies:\n    transformers " in text
    assert "  laws: constant, power," in text
    assert max(map(len, text.splitlines())) <= 80
    assert "FTADVISE_BLOCK_PLUGINS=NAME" in text


def test_plugins_names_the_error_of_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from ftadvise import plugins

    broken = plugins.Plugin("broken\x1b[2J", "1.0", error="ImportError: no\nsuch module")
    made = plugins.registry()
    fake = plugins.Registry(made.manager, made.plugins | {broken.name: broken})
    monkeypatch.setattr(plugins, "registry", lambda: fake)
    assert "broken 1.0\n  not in use: ImportError: no such module\n" in ft("plugins").stdout
    entry = told("plugins")["plugins"][-1]
    assert entry["name"] == broken.name
    assert entry["third_party"] is True


def test_the_version_is_the_one_of_the_project() -> None:
    import tomllib

    root = Path(__file__).resolve().parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert ft("--version").stdout == f"ftadvise {project.get('version', '0.1.0')}\n"
