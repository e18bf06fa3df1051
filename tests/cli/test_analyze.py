from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner, Result

import ftadvise
from ftadvise.cli import main

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads(
    (ROOT / "docs" / "schemas" / "advice-1.schema.json").read_text(encoding="utf-8")
)
QWEN = "examples/qwen/training_metrics.json"
CHAT = "examples/chat/trainer_state.json"

pytestmark = pytest.mark.usefixtures("at_root")


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("log", [QWEN, CHAT])
def test_json_of_one_log_is_one_object_that_the_schema_accepts(log: str) -> None:
    result = ft("analyze", log, "--format", "json")
    assert result.exit_code == 0
    assert result.stderr == ""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(strict(result.stdout), SCHEMA)


def test_json_says_what_the_python_api_says() -> None:
    told = strict(ft("analyze", CHAT, "--format", "json").stdout)
    assert told == ftadvise.advise(ftadvise.read(CHAT)).to_dict()


def test_the_schema_refuses_a_field_it_does_not_know() -> None:
    told = strict(ft("analyze", QWEN, "--format", "json").stdout)
    told["observed"]["more"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(told, SCHEMA)


def test_json_of_several_logs_is_a_list_in_their_order() -> None:
    result = ft("analyze", CHAT, QWEN, "--format", "json")
    assert [told["source"]["path"] for told in strict(result.stdout)] == [CHAT, QWEN]


def test_jsonl_gives_a_line_per_log_and_one_bad_file_sinks_none_of_the_others(
    tmp_path: Path,
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{]", encoding="utf-8")
    result = ft("analyze", CHAT, str(bad), "nowhere.json", QWEN, "--format", "jsonl")
    told = [strict(line) for line in result.stdout.splitlines()]
    assert [t["schema"].split("/")[0] for t in told] == [
        "ftadvise.advice",
        "ftadvise.error",
        "ftadvise.error",
        "ftadvise.advice",
    ]
    assert told[2]["source"] == {"path": "nowhere.json"}
    assert told[2]["error"]["code"] == "FT401"
    assert set(told[1]["error"]) == {"code", "message", "hint"}
    assert result.exit_code == 2
    assert result.stderr == "error: 2 of 4 logs gave no advice\n"


def test_json_of_several_logs_has_their_errors_in_its_list() -> None:
    result = ft("analyze", QWEN, "nowhere.json", "--format", "json")
    assert [t["schema"] for t in strict(result.stdout)] == [
        "ftadvise.advice/1",
        "ftadvise.error/1",
    ]
    assert result.exit_code == 2
    assert result.stderr == "error: 1 of 2 logs gave no advice\n"


def test_an_error_reaches_a_file_of_json_lines_too(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    assert ft("analyze", "nowhere.json", "--format", "jsonl", "-o", str(target)).exit_code == 2
    assert strict(target.read_text(encoding="utf-8"))["error"]["code"] == "FT401"


def test_text_of_several_logs_has_a_header_for_each() -> None:
    lines = ft("analyze", QWEN, CHAT).stdout.splitlines()
    assert lines[0] == QWEN
    assert CHAT in lines


def test_a_log_that_cannot_be_read_gives_two_lines_on_stderr_and_nothing_on_stdout() -> None:
    result = ft("analyze", "nowhere.json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: nowhere.json: ")
    assert result.stderr.rstrip().splitlines()[0].endswith("[FT401]")


def test_check_exits_with_1_when_there_is_a_warning() -> None:
    assert ft("analyze", QWEN).exit_code == 0
    assert ft("analyze", QWEN, "--check").exit_code == 1


def test_check_exits_with_2_when_a_log_could_not_be_read() -> None:
    assert ft("analyze", QWEN, "nowhere.json", "--check").exit_code == 2


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "markdown"])
def test_output_goes_to_a_file_and_stdout_stays_empty(form: str, tmp_path: Path) -> None:
    target = tmp_path / "report"
    result = ft("analyze", QWEN, "--format", form, "-o", str(target))
    assert result.exit_code == 0
    assert result.stdout == ""
    assert target.read_text(encoding="utf-8") == ft("analyze", QWEN, "--format", form).stdout


def test_a_file_that_cannot_be_written_is_an_error_without_traceback(tmp_path: Path) -> None:
    result = ft("analyze", QWEN, "-o", str(tmp_path / "no" / "folder"))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cannot write ")


def test_all_takes_every_run_of_a_file_and_run_takes_one(tmp_path: Path) -> None:
    rows = [{"epoch": e, "loss": 2.0 / e, "eval_loss": 2.1 / e} for e in (1.0, 2.0, 3.0, 4.0)]
    log = tmp_path / "runs.json"
    log.write_text(json.dumps({"a": {"history": rows}, "b": {"history": rows}}), encoding="utf-8")
    told = strict(ft("analyze", str(log), "--all", "--format", "json").stdout)
    names = [t["source"]["run"] for t in told]
    assert len(names) == 2
    one = strict(ft("analyze", str(log), "--run", names[0], "--format", "json").stdout)
    assert one["source"]["run"] == names[0]
    assert ft("analyze", str(log), "--run", "c").exit_code == 2
    assert ft("analyze", str(log), "--run", "a", "--all").exit_code == 2


def test_an_unexpected_exception_is_called_a_bug_and_has_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by\x1b[31m zero")

    monkeypatch.setattr("ftadvise.advising.advise", broken)
    result = ft("analyze", QWEN)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: unexpected ZeroDivisionError: by zero [FT999]\nhint: ")
    line = strict(ft("analyze", QWEN, "--format", "jsonl").stdout)
    assert line["error"]["code"] == "FT999"


def test_debug_shows_the_traceback_of_an_unexpected_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ftadvise.advising.advise", broken)
    assert "Traceback" in ft("analyze", QWEN, "--debug").stderr
    assert "Traceback" not in ft("analyze", QWEN).stderr
    monkeypatch.setenv("FTADVISE_DEBUG", "1")
    result = ft("analyze", QWEN, "--format", "jsonl")
    assert "\nZeroDivisionError\nerror: " in result.stderr
    assert result.exit_code == 2


def test_the_output_never_replaces_a_log(tmp_path: Path) -> None:
    log = tmp_path / "trainer_state.json"
    log.write_bytes((ROOT / CHAT).read_bytes())
    link = tmp_path / "link.json"
    link.symlink_to(log)
    for given, output in ((log, log), (log, link), (tmp_path, log)):
        result = ft("analyze", str(given), "-o", str(output))
        assert result.exit_code == 2
        assert "FT411" in result.stderr
    assert log.read_bytes() == (ROOT / CHAT).read_bytes()


def test_a_link_to_a_report_stays_a_link_and_the_file_keeps_its_mode(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("old")
    report.chmod(0o600)
    link = tmp_path / "newest.html"
    link.symlink_to(report)
    assert ft("analyze", CHAT, "-o", str(link)).exit_code == 0
    assert link.is_symlink()
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert report.stat().st_mode & 0o777 == 0o600


def test_an_output_that_cannot_be_written_is_said_before_the_work_is_done(tmp_path: Path) -> None:
    result = ft("analyze", "no-such-log", "-o", str(tmp_path / "none" / "report.html"))
    assert result.stderr.startswith("error: cannot write ")
    assert "no-such-log" not in result.stderr
