"""Whole outputs. After a change that is right: `pytest tests/reports --update-golden`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ftadvise.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

QWEN = "examples/qwen/training_metrics.json"
CHAT = "examples/chat/trainer_state.json"
OUTPUTS = {
    "qwen.txt": ["analyze", QWEN],
    "qwen-40.txt": ["analyze", QWEN, "--width", "40"],
    "qwen-ascii.txt": ["analyze", QWEN, "--ascii"],
    "qwen.json": ["analyze", QWEN, "--format", "json"],
    "qwen.md": ["analyze", QWEN, "--format", "markdown"],
    "chat.txt": ["analyze", CHAT],
    "chat-40-ascii.txt": ["analyze", CHAT, "--width", "40", "--ascii"],
    "chat.json": ["analyze", CHAT, "--format", "json"],
    "chat.md": ["analyze", CHAT, "--format", "markdown"],
    "both.jsonl": ["analyze", QWEN, "nowhere.json", CHAT, "--format", "jsonl"],
    "both.txt": ["analyze", QWEN, CHAT, "--width", "100"],
    "replay.txt": ["replay", CHAT],
    "forecast.txt": ["forecast", CHAT, "--at", "5"],
    "rules.txt": ["rule"],
    "help.txt": ["--help"],
}


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize("name", OUTPUTS)
def test_the_whole_output_is_the_one_on_file(
    name: str, golden: Callable[[str, str], None]
) -> None:
    result = CliRunner().invoke(main, OUTPUTS[name])
    assert result.exit_code == (2 if name == "both.jsonl" else 0), result.stderr
    golden(name, result.stdout)
