from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ftadvise.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("at_root")

EVIL = [
    "\x1b[2J\x1b[31mred",
    "\x1b]52;c;aGk=\x07clip",
    "\x1b]8;;http://x\x1b\\link",
    "c1\x9b31m\x85\x90",
    "bidi\u202e\u2066\u200f",
    "line\nbreak\r\x00\x7f",
    "a|b|c",
    "<script>alert(1)</script>",
    '" onmouseover="x',
    "](javascript:alert(1))",
    "`rm -rf`",
    "[/red] *bold* _it_",
]
# Everything that a terminal obeys, except the line end.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a log whose folder, file, runs and series all have evil names."""
    folder = tmp_path / "dir\x1b[2J\n<b>|x"
    folder.mkdir()
    rows = [
        {"epoch": e, "loss": 2.0 / e, "eval_loss": 2.1 / e, **dict.fromkeys(EVIL, float("nan"))}
        for e in (1.0, 2.0, 3.0, 4.0, 5.0)
    ]
    path = folder / "log\u202e\x9b.json"
    path.write_text(json.dumps({name: {"history": rows} for name in EVIL}), encoding="utf-8")
    return path


@pytest.mark.parametrize("args", [[], ["--all"], ["--run", "no\x1bsuch"]])
@pytest.mark.parametrize("form", ["text", "json", "jsonl", "markdown"])
def test_no_control_character_of_a_log_is_shown(log: Path, form: str, args: list[str]) -> None:
    result = CliRunner().invoke(main, ["analyze", str(log), "--format", form, *args])
    assert result.exit_code in (0, 2)
    assert result.stdout or result.stderr
    assert not CONTROL.search(result.stdout)
    assert not CONTROL.search(result.stderr)


@pytest.mark.parametrize(
    "args", [["forecast", "--at", "6"], ["replay"], ["analyze", "--ascii", "--width", "40"]]
)
def test_other_commands_show_none_either(log: Path, args: list[str]) -> None:
    for path in (str(log), str(log) + "\x1b[1mgone"):
        result = CliRunner().invoke(main, [args[0], path, *args[1:]])
        assert not CONTROL.search(result.stdout + result.stderr)


@pytest.mark.parametrize("args", [["\x1b[2Jcommand"], ["rule", "FT\x9b1"], ["--\x1b[31m"]])
def test_what_the_caller_typed_is_shown_harmless_too(args: list[str]) -> None:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2
    assert not CONTROL.search(result.stderr)


def test_markdown_shows_names_as_text(log: Path) -> None:
    result = CliRunner().invoke(main, ["analyze", str(log), "--format", "markdown", "--all"])
    assert "<" not in result.stdout
    assert not re.search(r"(?<!\\)\]\(", result.stdout)
    widths = [len(re.findall(r"(?<!\\)\|", x)) for x in result.stdout.split("\n") if x[:1] == "|"]
    assert set(widths) == {3, 4, 5}
