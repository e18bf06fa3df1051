"""Which format `ftadvise analyze` writes, and what becomes of errors in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ftadvise.cli import main
from ftadvise.cli.renderings import FORMATS, format_of

QWEN = "examples/qwen/training_metrics.json"
CHAT = "examples/chat/trainer_state.json"

pytestmark = pytest.mark.usefixtures("at_root")


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.txt", "text"),
        ("a.md", "markdown"),
        ("a.html", "html"),
        ("a.JSON", "json"),
        ("a.jsonl", "jsonl"),
        ("a.sarif", "sarif"),
        ("a.sarif.json", "sarif"),
        ("a.xml", "junit"),
        ("a.json.log", "text"),
        ("json", "text"),
    ],
)
def test_the_name_of_the_file_says_the_format(name: str, form: str) -> None:
    assert format_of(None, name) == form
    assert format_of("json", name) == "json"


def test_no_two_formats_claim_one_suffix() -> None:
    suffixes = [suffix for one in FORMATS.values() for suffix in one.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_a_file_is_written_in_the_format_of_its_name(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    assert ft("analyze", QWEN, "-o", str(target)).exit_code == 0
    assert json.loads(target.read_text(encoding="utf-8"))["schema"] == "ftadvise.advice/1"


def test_a_page_is_refused_on_a_terminal_and_may_be_piped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert format_of("html", None) == "html"
    monkeypatch.setattr(sys, "stdout", type("Terminal", (), {"isatty": lambda _: True})())
    assert format_of("html", "report.html") == "html"
    with pytest.raises(Exception, match=r"-o report\.html"):
        format_of("html", None)


def test_a_page_is_made_of_all_answers_the_errors_and_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def page(*given: object) -> str:
        seen.extend(given)
        return "page"

    monkeypatch.setattr("ftadvise.reports.html.page", page)
    result = ft("analyze", QWEN, "no where.json", CHAT, "--format", "html")
    assert (result.exit_code, result.stdout) == (2, "page\n")
    assert "error: no where.json: " in result.stderr
    answers, joint, command = seen
    assert [path for path, _ in answers] == [QWEN, "no where.json", CHAT]
    assert joint is None
    assert command == f"ftadvise analyze {QWEN} 'no where.json' {CHAT} --format html"


def test_runs_of_one_fine_tune_bring_their_joint_answer_to_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    joints: list[Any] = []

    def page(_: object, joint: object, __: str) -> str:
        joints.append(joint)
        return ""

    monkeypatch.setattr("ftadvise.reports.html.page", page)
    state = json.loads(Path(CHAT).read_text(encoding="utf-8"))
    for row in state["log_history"]:
        if "eval_loss" in row:
            row["eval_loss"] *= 1.001
    other = tmp_path / "other.json"
    other.write_text(json.dumps(state), encoding="utf-8")
    ft("analyze", CHAT, str(other), "--format", "html")
    ft("analyze", CHAT, str(other), "--format", "html", "--separate")
    first, second = joints
    assert first[0].num_train_epochs >= 1
    assert len(first[1].runs) == 2
    assert second is None


@pytest.mark.parametrize("form", ["github", "sarif", "junit"])
def test_a_format_of_findings_is_written_even_where_no_log_can_be_read(form: str) -> None:
    result = ft("analyze", "nowhere.json", "--format", form)
    assert result.exit_code == 2
    assert "FT401" in result.stdout


@pytest.mark.parametrize("form", ["html", "github", "sarif", "junit"])
def test_a_list_of_runs_has_no_such_format(form: str) -> None:
    result = ft("analyze", QWEN, "--list", "--format", form)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"not as {form}" in result.stderr


def test_many_runs_in_a_folder_are_not_named_aside_in_a_pipeline(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_bytes(Path(CHAT).read_bytes())
    assert "holds 2 runs" in ft("analyze", str(tmp_path / "runs")).stderr
    assert ft("analyze", str(tmp_path / "runs"), "--format", "github").stderr == ""
