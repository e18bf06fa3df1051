"""`ftadvise train --emit`: jobs that a scheduler takes, and what they do when they are interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from conftest import Golden

from ftadvise_trainer import commands
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes.emit import job
from ftadvise_trainer.processes.launch import Launch

HOSTS = Launch(nproc="8", nnodes=2, max_restarts=3)
ARGUMENTS = ["--set=training.seed=7", "--output-dir=my runs/'a'", "--", "training.yaml"]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@pytest.mark.parametrize(
    ("kind", "launch", "name"),
    [
        ("slurm", HOSTS, "job.slurm.sh"),
        ("skypilot", HOSTS, "job.skypilot.yaml"),
        ("slurm", Launch(), "job.slurm.auto.sh"),
    ],
)
def test_a_job_is_what_it_was(kind: str, launch: Launch, name: str, golden: Golden) -> None:
    golden(name, job(kind, launch, ARGUMENTS))


def parsed(script: str) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=script, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("launch", [HOSTS, Launch(), Launch(nproc="1", rdzv="[::1]:29500")])
def test_bash_and_yaml_take_them(launch: Launch) -> None:
    parsed(job("slurm", launch, ARGUMENTS))
    task: Any = yaml.safe_load(job("skypilot", launch, ARGUMENTS))
    parsed(task["run"])
    parsed(task["setup"])
    assert task["num_nodes"] == launch.nnodes
    assert "--output-dir=my runs/" in task["run"]


def test_what_would_not_go_on_or_not_be_one_word_is_refused() -> None:
    with pytest.raises(TrainError, match="--no-resume"):
        job("slurm", HOSTS, ["--no-resume", "--", "a.yaml"])
    with pytest.raises(TrainError, match="control characters"):
        job("skypilot", HOSTS, ["--", "a\nrm -r b.yaml"])
    with pytest.raises(TrainError, match="--nproc"):
        job("slurm", Launch(nproc="$(x)"), ARGUMENTS)


def test_the_command_prints_it_and_reads_nothing() -> None:
    group = click.Group()
    commands.register_commands(group)
    options = ["--nproc", "8", "--nnodes", "2", "--max-restarts", "3", "--emit", "slurm"]
    result = CliRunner().invoke(group, ["train", "nowhere.yaml", *options])
    assert result.exit_code == 0, result.output
    assert result.stdout == job("slurm", HOSTS, ["--", "nowhere.yaml"])
    assert result.stderr == ""


# The sbatch script, run with tools of ours in the place of SLURM's ---------------------------------

_SRUN = """#!/bin/bash
shift
export SLURM_NODEID=1
exec "$@"
"""
_FTADVISE = """#!/bin/bash
printf '%s\\n' "$@" > "$CASE/arguments"
trap 'exit 143' TERM
echo $$ > "$CASE/pid"
[ -e "$CASE/status" ] && exit "$(cat "$CASE/status")"
while :; do sleep 0.05; done
"""
_TOOLS = {
    "srun": _SRUN,
    "ftadvise": _FTADVISE,
    "scancel": '#!/bin/bash\nkill -TERM "$(cat "$CASE/pid")"\n',
    "scontrol": '#!/bin/bash\n[ "$1" = show ] && printf "n1\\nn2\\n" || echo "$@" >> "$CASE/said"\n',
}


@pytest.fixture
def case(tmp_path: Path) -> Path:
    for name, text in _TOOLS.items():
        path = tmp_path / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def start(case: Path) -> subprocess.Popen[str]:
    script = case / "job.sh"
    script.write_text(job("slurm", HOSTS, ARGUMENTS))
    slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2"}
    paths = f"{case}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", str(script)],
        env={**os.environ, **slurm, "CASE": str(case), "PATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_script_runs_the_same_command_on_each_host(case: Path) -> None:
    (case / "status").write_text("0")
    process = start(case)
    assert (process.communicate(timeout=30)[1], process.returncode) == ("", 0)
    assert (case / "arguments").read_text().splitlines() == [
        *("train", "--node-rank", "1", "--nproc", "8", "--nnodes", "2"),
        *("--rdzv", "n1:10007", "--max-restarts", "3"),
        *ARGUMENTS,
    ]
    assert not (case / "said").exists()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_saves_the_run_and_queues_it_again(case: Path, number: int) -> None:
    process = start(case)
    end = time.monotonic() + 30
    while not (case / "pid").exists() and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert (case / "said").read_text() == "requeue 7\n"


@pytest.mark.parametrize(("status", "again"), [("2", False), ("143", True)])
def test_a_mistake_is_not_queued_again_and_a_run_that_was_saved_is(
    case: Path, status: str, again: bool
) -> None:
    (case / "status").write_text(status)
    process = start(case)
    process.communicate(timeout=30)
    assert process.returncode == int(status)
    assert (case / "said").exists() is again
