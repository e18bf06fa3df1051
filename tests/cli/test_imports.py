from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

Shell = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = ("numpy", "scipy", "torch", "transformers")
_LOADED = """
import sys
sys.argv = ["ftadvise", *{args!r}]
from ftadvise.cli import main
try:
    main()
except SystemExit as stop:
    assert stop.code == 0, stop.code
import json
print(json.dumps(sorted(set(m.split(".")[0] for m in sys.modules) & set({names!r}))))
"""


def loaded_by(shell: Shell, *args: str) -> list[str]:
    names = [*HEAVY, "pandas", "matplotlib", "rich"]
    done = shell("-c", _LOADED.format(args=args, names=names))
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


LIGHT = ["--help", "--version", "analyze --help", "rule", "rule FT101", "env", "completion zsh"]


@pytest.mark.parametrize("line", LIGHT)
def test_what_needs_no_numbers_loads_nothing_heavy(shell: Shell, line: str) -> None:
    assert loaded_by(shell, *line.split()) == []


def test_completing_a_code_loads_nothing_heavy(shell: Shell) -> None:
    program = _LOADED.format(args=(), names=HEAVY)
    words = {"COMP_WORDS": "ftadvise analyze --select FT2", "COMP_CWORD": "3"}
    done = shell("-c", program, _FTADVISE_COMPLETE="bash_complete", **words)
    *offered, loaded = done.stdout.splitlines()
    assert "plain,FT201" in offered, done.stderr
    assert json.loads(loaded) == []


def test_plugins_loads_neither_torch_nor_transformers(shell: Shell) -> None:
    assert not {"torch", "transformers", "pandas"} & set(loaded_by(shell, "plugins"))


def test_analyze_loads_neither_torch_nor_pandas(shell: Shell) -> None:
    log = "examples/qwen/training_metrics.json"
    assert not {"torch", "transformers", "pandas"} & set(loaded_by(shell, "analyze", log))


def test_importing_ftadvise_loads_nothing_heavy(shell: Shell) -> None:
    done = shell("-c", "import ftadvise, sys; print([m for m in sys.modules if 'numpy' in m])")
    assert done.stdout == "[]\n"
