"""`--check`, `--select` and `--ignore`: which findings make a pipeline fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftadvise.cli import main, selecting
from ftadvise.cli.selecting import Selection
from ftadvise.rules.case import LEVELS, Finding

QWEN = "examples/qwen/training_metrics.json"  # FT101 and FT201 as warnings, FT207, FT301, FT302 as infos

pytestmark = pytest.mark.usefixtures("at_root")


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def test_the_levels_are_those_of_the_rules() -> None:
    assert selecting.LEVELS == LEVELS


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--select", "FT201"], 1),
        (["--select", "ft2"], 1),
        (["--select", "FT301"], 1),  # an info counts where it is named
        (["--select", "info"], 1),
        (["--select", "error"], 0),
        (["--select", "FT204,FT102"], 0),
        (["--select", "FT204", "--select", "FT302"], 1),
        (["--ignore", "FT1"], 1),
        (["--ignore", "FT1,FT201"], 0),
        (["--ignore", "warning"], 0),
        (["--select", "FT2", "--ignore", "FT20"], 0),
        (["--select", "FT201", "--ignore", "FT2"], 1),  # the longer code wins
        (["--select", "FT201", "--ignore", "FT201"], 0),
        (["--select", ""], 1),  # an empty variable of a pipeline chooses nothing
    ],
)
def test_check_fails_on_what_was_selected(options: list[str], code: int) -> None:
    assert ft("analyze", QWEN, "--format", "jsonl", "--check", *options).exit_code == code


def test_without_check_findings_never_fail() -> None:
    assert ft("analyze", QWEN, "--format", "github", "--select", "FT201").exit_code == 0


def test_what_was_selected_changes_no_report() -> None:
    plain = ft("analyze", QWEN, "--format", "json")
    assert (
        ft("analyze", QWEN, "--format", "json", "--check", "--select", "FT3").stdout
        == plain.stdout
    )


def test_a_log_that_cannot_be_read_is_2_whatever_was_selected() -> None:
    assert ft("analyze", QWEN, "nowhere.json", "--check", "--select", "FT204").exit_code == 2


@pytest.mark.parametrize(
    ("given", "meant"),
    [("FT2O1", "FT201"), ("FT404", "FT40"), ("eror", "error"), ("FT9999", "FT9")],
)
def test_a_code_that_no_rule_has_is_bad_usage_with_the_nearest_one(given: str, meant: str) -> None:
    result = ft("analyze", QWEN, "--check", "--select", f"FT1,{given}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert repr(given.upper()) in result.stderr
    if meant in ("FT201", "error"):
        assert f"Did you mean {meant!r}?" in result.stderr


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_a_choice_that_nothing_would_heed_is_bad_usage(form: str) -> None:
    result = ft("analyze", QWEN, "--format", form, "--ignore", "FT1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--check" in result.stderr


def test_sarif_and_junit_tell_what_was_selected() -> None:
    told = json.loads(ft("analyze", QWEN, "--format", "sarif", "--select", "FT3,info").stdout)
    codes = [result["ruleId"] for result in told["runs"][0]["results"]]
    assert codes == ["FT207", "FT301", "FT302"]
    junit = ft("analyze", QWEN, "--format", "junit").stdout
    assert 'failures="2"' in junit  # as --check, the warnings and errors
    assert 'failures="3"' in ft("analyze", QWEN, "--format", "junit", "--select", "info").stdout


def test_a_code_is_matched_without_regard_to_case_also_where_a_plugin_writes_it_small() -> None:
    chosen = Selection(True, ("LB1",))
    assert chosen.counts(Finding("lb101", "info", "m"))
    assert not chosen.counts(Finding("lb201", "error", "m"))


def test_a_log_is_called_the_same_alone_and_in_its_folder(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(Path("examples/chat/trainer_state.json").read_bytes())

    def marks(*args: str) -> list[str]:
        (run,) = json.loads(ft("analyze", *args, "--format", "sarif").stdout)["runs"]
        return [r["partialFingerprints"]["ftadvise/v1"] for r in run["results"]]

    alone = marks(str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert set(alone) <= set(marks(str(tmp_path), "--all"))


def test_a_list_of_runs_is_no_check_that_always_passes() -> None:
    for options in (["--check"], ["--select", "FT201"]):
        result = ft("analyze", QWEN, "--list", *options)
        assert (result.exit_code, result.stdout) == (2, "")
