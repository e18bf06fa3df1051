"""`ftadvise analyze` of a folder, of the standard input, and of series asked for by name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ftadvise.cli import main, many

pytestmark = pytest.mark.usefixtures("at_root")

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
MOMENT = 1_700_000_000.0


def ft(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(args), input=stdin)


def state(folder: Path, points: int = 5, loss: float = 1.0, at: float = MOMENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, float]] = []
    for epoch in range(1, points + 1):
        when = {"step": 10.0 * epoch, "epoch": float(epoch)}
        rows += [{**when, "loss": loss + 1.0 / epoch}, {**when, "eval_loss": loss + 1.1 / epoch}]
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"log_history": rows, "num_train_epochs": points}))
    os.utime(path, (at, at))
    return path


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder with three runs, the second one the newest."""
    for name, at in (("lr-1e-5", 0.0), ("lr-2e-5", 7200.0), ("lr-5e-5", 3600.0)):
        state(tmp_path / "sweep" / name, at=MOMENT + at)
    return tmp_path / "sweep"


def told(*args: str) -> Any:
    return json.loads(ft("analyze", *args, "--format", "json").stdout)


def test_of_several_runs_the_newest_is_answered_for_and_all_are_listed(three: Path) -> None:
    result = ft("analyze", str(three))
    assert result.exit_code == 0
    assert "(lr-2e-5)\n" in result.stdout
    first, heads, *rows, last = result.stderr.splitlines()
    assert first == f"{three} holds 3 runs; the answer is about the one marked with *:"
    assert heads.split() == [
        "run", "format", "train", "loss", "eval", "loss", "epochs", "last", "written",
    ]  # fmt: skip
    assert [row.split()[:2] for row in rows] == [
        ["lr-1e-5", "trainer_state"], ["*", "lr-2e-5"], ["lr-5e-5", "trainer_state"],
    ]  # fmt: skip
    assert rows[0].split()[2:7] == ["loss", "(5)", "eval_loss", "(5)", "5"]
    assert "--run NAME" in last
    assert "--all" in last


def test_objects_say_which_was_taken_in_a_finding_and_stderr_stays_empty(three: Path) -> None:
    result = ft("analyze", str(three), "--format", "json")
    assert result.stderr == ""
    advice = json.loads(result.stdout)
    assert advice["source"]["run"] == "lr-2e-5"
    assert "'lr-1e-5', 'lr-5e-5'" in next(
        f["message"] for f in advice["findings"] if f["code"] == "FT107"
    )


def test_one_is_taken_by_a_part_of_its_name_and_all_with_all(three: Path) -> None:
    assert told(str(three), "--run", "1e")["source"]["run"] == "lr-1e-5"
    names = [one["source"]["run"] for one in told(str(three), "--all", "--separate")]
    assert names == ["lr-1e-5", "lr-2e-5", "lr-5e-5"]
    assert ft("analyze", str(three), "--run", "5e-6").exit_code == 2
    lines = ft("analyze", str(three), "--all", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["source"]["run"] for line in lines] == names


def test_a_folder_with_one_run_is_answered_for_without_a_word_about_others(three: Path) -> None:
    result = ft("analyze", str(three / "lr-1e-5"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "FT107" not in result.stdout


def test_a_broken_run_among_others_is_an_error_of_its_own_under_all(three: Path) -> None:
    state(three / "broken").write_text("version https://git-lfs.github.com/spec/v1\n")
    result = ft("analyze", str(three), "--all", "--format", "jsonl")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["schema"].split("/")[0] for line in lines] == ["ftadvise.advice"] * 3 + [
        "ftadvise.error"
    ]
    assert lines[-1]["error"]["code"] == "FT403"
    assert result.exit_code == 2
    assert ft("analyze", str(three)).exit_code == 0


def test_list_shows_the_runs_and_what_cannot_be_read(three: Path) -> None:
    state(three / "broken").write_text("version https://git-lfs.github.com/spec/v1\n")
    result = ft("analyze", "--list", str(three))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{three}: 3 runs\n")
    assert re.search(
        r"^\* lr-2e-5 +trainer_state +loss \(5\) +eval_loss \(5\) +5 +2023-11-1\d ",
        result.stdout,
        re.MULTILINE,
    )
    assert "broken cannot be read: a Git LFS pointer, not the file itself [FT403]" in result.stdout


def test_list_gives_objects_too_for_folders_and_files(three: Path) -> None:
    log = str(three / "lr-1e-5" / "trainer_state.json")
    result = ft("analyze", "--list", str(three), log, "nowhere", "--format", "json")
    folder, file, missing = json.loads(result.stdout)
    assert result.exit_code == 2
    assert [run["name"] for run in folder["runs"]] == ["lr-1e-5", "lr-2e-5", "lr-5e-5"]
    assert [run["taken"] for run in folder["runs"]] == [False, True, False]
    assert folder["runs"][0] == {
        "name": "lr-1e-5", "path": log, "format": "trainer_state", "train_key": "loss",
        "train_points": 5, "eval_key": "eval_loss", "eval_points": 5, "epochs": 5.0,
        "written": "2023-11-14T22:13:20+00:00", "taken": True,
    } | {"taken": False}  # fmt: skip
    assert file["runs"][0]["written"] == "2023-11-14T22:13:20+00:00"
    assert missing["error"]["code"] == "FT401"
    lines = ft("analyze", "--list", str(three), log, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [folder, file]


def test_a_crowd_of_runs_is_listed_in_part_and_the_one_taken_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "FEW", 100)  # to start no process
    for number in range(40):
        state(tmp_path / f"run-{number}", points=2, at=MOMENT + 3600.0 * (number == 31))
    lines = ft("analyze", str(tmp_path)).stderr.splitlines()
    assert len(lines) < 20
    assert any(line.split()[:2] == ["*", "run-31"] for line in lines)
    assert "  ... and 28 more (--list shows all)" in lines
    listed = ft("analyze", "--list", str(tmp_path)).stdout
    assert len(re.findall(r"^[* ] run-\d", listed, re.MULTILINE)) == 40


def test_odd_names_in_a_folder_are_shown_harmless(tmp_path: Path) -> None:
    for name in ("a\x1b[2J\x1b]0;x\x07", "b\x9b31m\u202e", "c\nd"):
        state(tmp_path / f"in\x1b[31m{name}" / name)
    for args in ([], ["--list"], ["--all"], ["--run", "c"], ["--run", "\x1b[1m"]):
        result = ft("analyze", str(tmp_path), *args)
        assert not CONTROL.search(result.stdout + result.stderr), args


def test_a_folder_without_a_log_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("loss: 1\n")
    result = ft("analyze", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no training log in this folder [FT405]" in result.stderr
    assert "trainer_state.json" in result.stderr


def test_the_report_names_the_runs_that_lie_beside_the_one_it_is_about(three: Path) -> None:
    text = " ".join(ft("analyze", str(three), "--run", "lr-1e-5").stdout.split())
    assert " other runs beside this one: " in text
    assert "(--run NAME or --all)" in text


def test_a_run_that_is_called_as_its_file_is_named_once(tmp_path: Path) -> None:
    for name, scale in (("a.csv", 1.0), ("b.csv", 2.0)):
        rows = [f"{epoch},{scale / epoch},{scale * 1.1 / epoch}" for epoch in range(1, 9)]
        (tmp_path / name).write_text("\n".join(["epoch,train_loss,val_loss", *rows]))
    text = ft("analyze", str(tmp_path), "--run", "b.csv", "--width", "200").stdout
    assert text.splitlines()[0] == str(tmp_path / "b.csv")


def test_a_log_comes_from_the_standard_input(three: Path) -> None:
    log = three / "lr-1e-5" / "trainer_state.json"
    result = ft("analyze", "-", "--format", "json", stdin=log.read_text())
    advice = json.loads(result.stdout)
    assert advice["source"]["path"] == "-"
    assert advice["recommendation"] == told(str(log))["recommendation"]
    for args in (["analyze", "-"], ["analyze", "-", "--list"]):
        first = ft(*args, stdin=log.read_text()).stdout.splitlines()[0]
        assert first.startswith("standard input"), args
    assert ft("analyze", "-", "-", stdin=log.read_text()).exit_code == 2
    assert ft("analyze", "-", stdin="").exit_code == 2
    for command in (
        ["forecast", "-", "--at", "6"],
        ["replay", "-"],
        ["export", "-", "--to", "hf"],
    ):
        assert ft(*command, stdin=log.read_text()).exit_code == 0, command


@pytest.fixture
def losses(tmp_path: Path) -> str:
    log = tmp_path / "log.json"
    curve = [1.0 / (x + 1) for x in range(8)]
    log.write_text(json.dumps({"g_loss": curve, "d_loss": [2 * x for x in curve],
                               "test_loss": curve, "nll_tokens": [3 * x for x in curve]}))  # fmt: skip
    return str(log)


def test_the_flags_take_series_by_their_names(losses: str) -> None:
    advice = told(losses, "--key", "d_loss", "--eval-key", "none")
    assert advice["observed"]["first_loss"] == 2.0
    assert advice["observed"]["eval_points"] == 0
    assert told(losses, "--eval-key", "nll_tokens")["observed"]["first_loss"] == 3.0
    result = ft("analyze", losses, "--key", "loss")
    assert result.exit_code == 2
    assert "g_loss, d_loss, test_loss, nll_tokens" in result.stderr


@pytest.mark.parametrize(
    "command",
    [["forecast", "--at", "9"], ["replay"], ["export", "--to", "hf"], ["watch", "--once"]],
)
def test_the_flags_are_the_same_for_all_commands_that_read_logs(
    losses: str, command: list[str]
) -> None:
    good = ft(command[0], losses, *command[1:], "--key", "d_loss", "--eval-key", "none")
    assert good.exit_code == 0, good.stderr
    bad = ft(command[0], losses, *command[1:], "--key", "nothing")
    assert (bad.exit_code, "[FT409]" in bad.stderr) == (2, True)


def test_what_could_not_be_decided_is_a_finding_with_the_flag_that_decides_it(losses: str) -> None:
    found = {f["code"]: f for f in told(losses)["findings"]}
    assert "--key d_loss" in found["FT108"]["fix"]
    assert "--eval-key" in found["FT109"]["fix"]
    assert "--steps-per-epoch" in found["FT106"]["fix"]
    decided = ("--key", "g_loss", "--eval-key", "none", "--steps-per-epoch", "2")
    found = {f["code"]: f for f in told(losses, *decided)["findings"]}
    assert not {"FT108", "FT109"} & set(found)
    assert found["FT106"]["fix"] == ""


def test_other_commands_say_which_of_several_runs_they_took(three: Path) -> None:
    result = ft("replay", str(three))
    assert result.exit_code == 0
    assert result.stderr == (
        f"note: took 'lr-2e-5' of the 3 runs in {three}: --run NAME takes another\n"
    )
    assert ft("replay", str(three), "--run", "1e").stderr == ""
