"""Findings for pipelines: annotations of GitHub, SARIF and JUnit."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from ftadvise.cli import main
from ftadvise.errors import LogError
from ftadvise.reports import concise, github, junit, sarif
from ftadvise.reports.run_findings import RunFindings, from_root, run_findings
from ftadvise.rules.case import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

LOGS = ["examples/qwen/training_metrics.json", "nowhere.json", "examples/chat/trainer_state.json"]
SCHEMA = "@microsoft/jest-sarif@1.0.0-beta.0"  # holds the JSON schema of SARIF 2.1.0

HOSTILE = "a,b:c%0A::error::x\r\n::stop-commands::y ##[add-path]/z <&\"'\x00\ufffe]]>"

pytestmark = pytest.mark.usefixtures("at_root")


@pytest.fixture(autouse=True)
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


def hostile() -> list[RunFindings]:
    finding = Finding(HOSTILE, "error", HOSTILE, {HOSTILE: float("nan")}, HOSTILE)
    error = LogError(HOSTILE, hint=HOSTILE, code=HOSTILE)
    failed = replace(run_findings(HOSTILE.replace("\0", ""), error, lambda _: True), path=HOSTILE)
    return [RunFindings(HOSTILE, HOSTILE, (finding,)), failed]


def told(*args: str) -> Any:
    return json.loads(CliRunner().invoke(main, ["analyze", *args, "--format", "sarif"]).stdout)


@pytest.mark.parametrize(
    ("form", "name"),
    [("github", "both.github.txt"), ("sarif", "both.sarif"), ("junit", "both.xml")],
)
def test_the_whole_output_is_the_one_on_file(
    form: str, name: str, golden: Callable[[str, str], None]
) -> None:
    result = CliRunner().invoke(main, ["analyze", *LOGS, "--format", form])
    assert result.exit_code == 2
    golden(name, result.stdout)


def test_a_hostile_text_stays_within_its_annotation() -> None:
    lines = github.commands(hostile()).splitlines()
    assert lines[-1] == "2 runs: 2 errors, 0 warnings, 0 notices"
    assert len(lines) == 3
    for line in lines[:-1]:
        _, head, *rest = line.split("::", 2)
        assert head.startswith("error file=a%2Cb%3Ac%250A%3A%3Aerror%3A%3Ax")
        assert sorted(part.split("=")[0] for part in head.removeprefix("error ").split(",")) == [
            "file",
            "title",
        ]
        assert len(rest) == 1
        assert "%250A" in rest[0]


def test_a_hostile_text_stays_on_its_line() -> None:
    lines = concise.lines(hostile()).splitlines()
    assert lines[-1] == "1 finding in 2 runs, 1 without advice"
    assert len(lines) == 3
    assert all(line.isprintable() or "\ufffe" in line for line in lines)


def test_the_path_of_a_log_that_cannot_be_read_is_told_once() -> None:
    alone = run_findings("a.json", LogError("a.json: no such file", hint="look"), lambda _: True)
    assert concise.lines([alone]).startswith("a.json: FT404 error: no such file (look)\n")


def test_the_worst_comes_first_since_github_shows_but_ten_of_a_kind() -> None:
    findings = tuple(Finding("X1", level, level) for level in ("info", "warning", "error", "odd"))
    lines = github.commands(
        [RunFindings("a", "", findings), RunFindings("b", "", findings[2:3])]
    ).splitlines()
    kinds = [line.split(" ")[0].strip(":") for line in lines[:-1]]
    assert kinds == ["error", "error", "warning", "notice", "notice"]


def test_no_findings_say_so_in_each_format() -> None:
    clean = [RunFindings("a.json", "")]
    assert github.commands(clean) == "1 run: 0 errors, 0 warnings, 0 notices"
    assert concise.lines(clean) == "0 findings in 1 run"
    assert json.loads(sarif.log(clean))["runs"][0]["results"] == []
    assert 'tests="1" failures="0" errors="0"' in junit.report(clean)


def test_a_path_is_told_from_the_root_of_the_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inner = tmp_path / "checkout" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert from_root("a b/../log.json") == "log.json"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(inner.parent))
    assert from_root("log.json") == "inner/log.json"
    assert from_root("../../log.json") == str(tmp_path / "log.json")


def test_the_standard_input_has_no_place() -> None:
    error = LogError("nothing there")
    alone = run_findings("-", error, lambda _: True)
    assert github.commands([alone]).startswith("::error title=FT404::nothing there\n")
    assert json.loads(sarif.log([alone]))["runs"][0]["invocations"][0][
        "toolExecutionNotifications"
    ][0]["locations"] == []  # fmt: skip


def test_sarif_has_what_the_standard_and_code_scanning_require() -> None:
    log = told(*LOGS)
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({r["ruleId"] for r in run["results"]})
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert "## What to do" in rule["help"]["markdown"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] in LOGS
        assert place["region"]["startLine"] == 1
    invocation = run["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["descriptor"] == {"id": "FT401"}
    assert told(LOGS[0])["runs"][0]["invocations"] == [{"executionSuccessful": True}]


def test_a_fingerprint_outlives_new_numbers_and_tells_findings_apart() -> None:
    def marks(*findings: Finding, run: str = "") -> list[str]:
        results = json.loads(sarif.log([RunFindings("a", run, findings)]))["runs"][0]["results"]
        return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]

    one, other = Finding("X1", "error", "loss 1.0"), Finding("X1", "error", "loss 1.1")
    assert marks(one) == marks(other)
    assert len({*marks(one, other), *marks(one, run="b"), *marks(Finding("X2", "info", "m"))}) == 4


def test_a_uri_is_quoted_and_a_path_outside_the_checkout_is_a_file() -> None:
    runs = [
        RunFindings("a b%/ü#.json", "", (Finding("X1", "info", "m"),)),
        RunFindings("/x y", ""),
    ]
    runs[1] = RunFindings("/x y", "", runs[0].findings)
    results = json.loads(sarif.log(runs))["runs"][0]["results"]
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"] for r in results]
    assert places == [
        {"uri": "a%20b%25/%C3%BC%23.json", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///x%20y"},
    ]


def test_names_of_bytes_that_are_no_utf_8_stay_apart_and_a_uri_has_the_bytes() -> None:
    names = [os.fsdecode(b"\xff.json"), os.fsdecode(b"a\xfe.json")]
    runs = [RunFindings(name, "", (Finding("X1", "info", "m"),)) for name in names]
    results = json.loads(sarif.log(runs))["runs"][0]["results"]
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results]
    assert places == ["%FF.json", "a%FE.json"]
    marks = {
        sarif.log([replace(runs[0], path=os.fsdecode(name))]).partition("partialFingerprints")[2]
        for name in (b"\xff", b"\xfe")
    }
    assert len(marks) == 2
    for told in (concise.lines(runs), github.commands(runs), junit.report(runs)):
        assert "\ufffd.json" in told
        assert "a\ufffd.json" in told


def test_junit_stays_xml_whatever_is_in_the_text() -> None:
    document = junit.report(hostile())
    assert "\ufffe" not in document  # which XML 1.0 has no way to write
    root = ElementTree.fromstring(document)
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["2", "1", "1"]
    failure = root.find("./testsuite/testcase/failure")
    assert failure is not None
    assert failure.text == failure.get("message")
    assert "::stop-commands::y ##[add-path]/z <&\"'" in (failure.text or "")


@pytest.mark.system
def test_sarif_is_accepted_by_the_schema_of_the_standard(tmp_path: Path) -> None:
    import jsonschema  # type: ignore[import-untyped]

    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to fetch the schema with")
    got = subprocess.run(
        [npm, "pack", SCHEMA], cwd=tmp_path, capture_output=True, timeout=120, check=False
    )
    if got.returncode:
        pytest.skip(f"npm cannot fetch {SCHEMA}")
    (packed,) = tmp_path.glob("*.tgz")
    with tarfile.open(fileobj=io.BytesIO(packed.read_bytes())) as archive:
        member = archive.extractfile("package/lib/schemas/sarif-2.1.0-rtm.5.json")
        assert member is not None
        schema = json.load(member)
    for log in (told(*LOGS), json.loads(sarif.log(hostile())), json.loads(sarif.log([]))):
        jsonschema.Draft4Validator(schema).validate(log)
