"""What a shell offers after `ftadvise completion`, asked of the shells that are here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from ftadvise.cli import completing, main
from ftadvise.cli.completion import VARIABLE
from ftadvise.rules import register_rules
from ftadvise.rules.documented import documented
from ftadvise.stopping import register_stop_policies

ROOT = Path(__file__).resolve().parents[2]

BASH = """
eval "$(ftadvise completion bash)"
COMP_WORDS=({words}) COMP_CWORD={place}
_ftadvise_completion ftadvise
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = 'ftadvise completion fish | source; complete -C "{line}"'
# Outside of its line editor zsh has no such builtins: these say what they are given.
ZSH = """
compdef() {{ }}
compadd() {{ print -l -- ${{(P)argv[-1]}} }}
_describe() {{ print -l -- ${{(P)3}} }}
eval "$(ftadvise completion zsh)"
words=({line}) CURRENT={place}
_ftadvise_completion
"""


def offered(line: str, word: str) -> list[str]:
    """Return what is offered for the last word of a command line."""
    complete = BashComplete(main, {}, "ftadvise", VARIABLE)
    return [item.value for item in complete.get_completions(line.split(), word)]


@pytest.fixture
def shells(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `ftadvise` is this one."""
    program = tmp_path / "ftadvise"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ftadvise "$@"\n')
    program.chmod(0o755)
    paths = os.pathsep.join([str(ROOT / "advisor"), str(ROOT / "plugins")])
    return {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": paths,
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "FTADVISE_NO_PLUGINS": "1",
    }


def asked(shell: str, program: str, environment: dict[str, str]) -> list[str]:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} here")
    options = ["-f"] if shell == "zsh" else []
    done = subprocess.run(
        [found, *options, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_formats_and_codes(shells: dict[str, str]) -> None:
    def words(*given: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in given)
        return asked("bash", BASH.format(words=quoted, place=len(given) - 1), shells)

    assert words("ftadvise", "ana") == ["analyze"]
    assert "sarif" in words("ftadvise", "analyze", "x.json", "--format", "")
    assert words("ftadvise", "analyze", "--select", "FT201,FT302") == ["FT201,FT302"]


def test_fish_completes_codes_with_their_names(shells: dict[str, str]) -> None:
    told = asked("fish", FISH.format(line="ftadvise rule FT20"), shells)
    assert told[:4] == ["FT201", "overfitting", "FT202", "still-improving"]


def test_zsh_completes_codes_with_their_names(shells: dict[str, str]) -> None:
    told = asked("zsh", ZSH.format(line="ftadvise rule FT20", place=3), shells)
    assert told[:2] == ["FT201:overfitting", "FT202:still-improving"]
    assert asked("zsh", ZSH.format(line="ftadvise completion", place=3), shells)[0] == "bash"


@pytest.mark.usefixtures("at_root")
def test_each_command_and_its_options_are_offered() -> None:
    commands = offered("", "")
    assert {"analyze", "replay", "rule", "env", "completion"} <= set(commands)
    for name in commands:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        options = {name for p in command.params for name in p.opts if name.startswith("--")}
        assert options <= set(offered(name, "--"))


@pytest.mark.usefixtures("at_root")
def test_what_is_offered_goes_on_from_what_was_typed_in_upper_or_lower_case() -> None:
    assert offered("rule", "ft10")[0] == "FT101"
    assert offered("analyze --ignore", "FT1,err") == ["FT1,error"]
    assert offered("replay x.json --policy", "K") == ["keras"]
    assert offered("plugins check", "my-plug") == ["my-plug"]  # a file, which the shell completes


@pytest.mark.usefixtures("at_root")
def test_after_an_unknown_command_words_are_completed_without_an_error() -> None:
    assert offered("nonsense", "ana") == ["analyze"]


def test_what_is_known_without_numpy_is_what_there_is() -> None:
    read = [(rule.code, rule.name, rule.doc) for rule in documented()]
    rules = sorted(register_rules(), key=lambda rule: rule.code)
    assert read == [(rule.code, rule.name, rule.doc) for rule in rules]
    assert set(completing.POLICIES) == {policy.name for policy in register_stop_policies()}


def test_rules_without_sources_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> str:
        raise FileNotFoundError

    whole = [rule.code for rule in documented()]
    monkeypatch.setattr(Path, "read_text", gone)
    assert [rule.code for rule in documented()] == whole


def test_a_script_is_of_one_of_three_shells() -> None:
    result = CliRunner().invoke(main, ["completion", "tcsh"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'bash', 'zsh', 'fish'" in result.stderr


def test_the_help_has_a_line_to_copy_for_each_shell() -> None:
    shown = CliRunner().invoke(main, ["completion", "--help"]).stdout.splitlines()
    for shell in ("bash", "zsh", "fish"):
        assert any(line.strip().startswith(f"{shell}: ") for line in shown), shown
