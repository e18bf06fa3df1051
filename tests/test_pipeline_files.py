"""The GitHub Action, the hooks of pre-commit and the workflows: what they run, and how safely."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOG = "examples/chat/trainer_state.json"
HOSTILE = ["$(touch gone)", "`touch gone`", "; touch gone;", "a b'\"c", "--debug", "-", "&& x"]


def steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    if "runs" in document:
        return list(document["runs"]["steps"])
    return [step for job in document["jobs"].values() for step in job["steps"]]


def every_step() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS]
    return [step for document in (ACTION, *files) for step in steps(document)]


def test_no_script_has_an_expression_in_it_since_what_is_put_there_is_run() -> None:
    assert [step["run"] for step in every_step() if "${{" in step.get("run", "")] == []


def test_what_others_wrote_is_pinned_to_a_commit() -> None:
    used = {step["uses"] for step in every_step() if "uses" in step}
    assert used
    assert [one for one in used if one != "./" and not re.search(r"@[0-9a-f]{40}$", one)] == []


def test_workflows_may_read_the_repository_and_no_more() -> None:
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {
            "contents": "read"
        }


def test_ci_tries_each_python_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [c.rsplit(" ", 1)[1] for c in project["classifiers"] if "Python :: 3." in c]
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["all"]["strategy"]["matrix"]["python"] == named


def test_every_input_of_the_action_is_described_here_and_in_the_docs() -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    for name, one in ACTION["inputs"].items():
        assert one["description"]
        assert f"`{name}`" in page, name
    for hook in HOOKS:
        assert hook["id"] in page


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """Make the folder of a runner in which ftadvise is installed, as the action leaves it."""
    program = tmp_path / "ftadvise-action" / "bin" / "ftadvise"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ftadvise "$@"\n')
    program.chmod(0o755)
    return tmp_path


def analyze(runner: Path, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the step of the action that answers, in a folder."""
    (step,) = [step for step in steps(ACTION) if step.get("id") == "analyze"]
    given = {name: inputs.get(name, "") for name in step["env"]}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=given
        | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "advisor"),
            "FTADVISE_NO_PLUGINS": "1",
            "RUNNER_TEMP": str(runner),
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_STEP_SUMMARY": str(runner / "summary.md"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_action_tells_annotations_sarif_a_page_and_a_summary(runner: Path) -> None:
    told = analyze(
        runner,
        ROOT,
        PATHS=f"{LOG}\n\nexamples/q*/training_metrics.json\n",
        IGNORE="FT101",
        SARIF=str(runner / "x.sarif"),
        HTML=str(runner / "x.html"),
        SUMMARY="true",
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert f"::warning file={LOG},title=FT201 overfitting::" in told.stdout
    assert "file=examples/qwen/training_metrics.json,title=FT201" in told.stdout
    assert "FT101" not in told.stdout
    assert (runner / "output").read_text() == "exit-code=1\n"
    assert '"FT206"' in (runner / "x.sarif").read_text()
    assert (runner / "x.html").read_text().startswith("<!")
    assert (runner / "summary.md").read_text().startswith("# Training advice")


def test_the_action_says_which_of_its_files_it_could_not_write(runner: Path) -> None:
    told = analyze(runner, ROOT, PATHS=LOG, HTML=str(runner / "none" / "x.html"))
    assert "::error title=ftadvise::the file that html names was not written" in told.stdout


def test_the_action_runs_nothing_that_stands_in_its_inputs(runner: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    told = analyze(runner, folder, PATHS="\n".join(HOSTILE), SELECT=HOSTILE[0], IGNORE="--debug")
    assert (runner / "output").read_text() == "exit-code=2\n"
    assert "no finding has a code that begins with '$(TOUCH GONE)'" in told.stderr
    told = analyze(runner, folder, PATHS="\n".join(HOSTILE))
    assert told.stdout.count("::error file=") == len(HOSTILE) - 1  # - is the standard input
    assert "Traceback" not in told.stderr
    assert list(folder.iterdir()) == []


def test_the_action_without_a_path_says_so(runner: Path, tmp_path: Path) -> None:
    told = analyze(runner, tmp_path, PATHS=" \n")
    assert (told.returncode, told.stdout) == (2, "::error title=ftadvise::no paths were given\n")


@pytest.mark.parametrize(
    ("hook", "name", "takes"),
    [
        ("ftadvise-check", "runs/a/trainer_state.json", True),
        ("ftadvise-check", "training_metrics.jsonl", True),
        ("ftadvise-check", "my_trainer_state.json", False),
        ("ftadvise-config", "configs/training.yaml", True),
        ("ftadvise-config", "pretraining.yaml", False),
    ],
)
def test_a_hook_takes_the_files_that_it_is_about(hook: str, name: str, takes: bool) -> None:
    (found,) = [one for one in HOOKS if one["id"] == hook]
    assert bool(re.search(found["files"], name)) is takes


def git(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    return subprocess.run(
        ["git", *who, *args], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def installed_in(folder: Path, name: str) -> str:
    """Install a program into an environment of its own, or skip the test."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "--disable-pip-version-check", "-q", "install", name]
    if subprocess.run(command, capture_output=True, timeout=300, check=False).returncode:
        pytest.skip(f"no package index to install {name} from")
    return str(folder / "bin" / name)


@pytest.mark.system
def test_pre_commit_installs_the_hooks_and_stops_a_commit(runner: Path, tmp_path: Path) -> None:
    program = shutil.which("pre-commit") or installed_in(tmp_path / "env", "pre-commit")
    hooks, work = tmp_path / "hooks", tmp_path / "work"
    kept = shutil.ignore_patterns(
        ".*", "tests", "benchmarks", "docs", "examples", "checkpoints", "__pycache__"
    )
    shutil.copytree(ROOT, hooks, ignore=kept)
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    git(hooks, "init")
    git(hooks, "add", "-A")
    assert git(hooks, "commit", "-m", "all").returncode == 0
    work.mkdir()
    (work / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {hooks}\n  rev: {git(hooks, 'rev-parse', 'HEAD').stdout.strip()}\n"
        "  hooks:\n  - id: ftadvise-check\n    args: [--select, FT201]\n  - id: ftadvise-config\n"
    )
    shutil.copy(ROOT / LOG, work / "trainer_state.json")
    (work / "training.yaml").write_text("training: {num_train_epoch: 3}\n")
    git(work, "init")
    git(work, "add", "-A")
    installed = f"{runner / 'ftadvise-action' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "cache"), "PATH": installed}
    done = subprocess.run(
        [program, "run", "--all-files"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    if "No matching distribution" in done.stdout or "ConnectionError" in done.stdout:
        pytest.skip("no package index here")
    assert "trainer_state.json: FT201 warning: Overfitting begins" in done.stdout, done.stdout
    assert "FT206" not in done.stdout
    assert "num_train_epoch" in done.stdout
    assert done.returncode == 1
