"""`ftadvise train --nproc`: what is started, how it ends, and what is said of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from made_dry_runs import made_dry_run

pytest.importorskip("torch")
pytest.importorskip("transformers")

from made_launches import Done, kill_last_process, launch, settings, terminate
from made_ranks import run_ranks
from tiny_runs import TINY, losses, weights

from ftadvise_trainer import commands
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes import launched
from ftadvise_trainer.processes.launch import Ended, Launch, processes
from ftadvise_trainer.processes.launch_folder import End, LaunchFolder, died
from ftadvise_trainer.saving.checkpoints import newest_valid

CONFIG = str(TINY / "training.yaml")


def saved(folder: Path, step: int = 5) -> Callable[[], bool]:
    """Whether the checkpoint of a step is complete."""
    return (folder / "out" / f"checkpoint-{step}" / "MANIFEST.json").exists


def invoke(*arguments: str) -> Any:
    group = click.Group()
    commands.register_commands(group)
    return CliRunner().invoke(group, ["train", *arguments])


# What is asked for --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        (Launch(nproc="none"), "--nproc none"),
        (Launch(nproc="0"), "--nproc 0"),
        (Launch(nproc="2", nnodes=2), "--rdzv"),
        (Launch(nproc="2", rdzv="host"), "HOST:PORT"),
        (Launch(nproc="2", nnodes=2, rdzv="host:29500", node_rank=2), "--node-rank 2"),
        (Launch(nproc="2", max_restarts=-1), "--max-restarts"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_started(wanted: Launch, named: str) -> None:
    with pytest.raises(TrainError, match=named) as caught:
        processes(wanted)
    assert caught.value.exit_code == 2


def test_auto_is_one_process_for_each_gpu_and_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftadvise_trainer.processes.launch._gpus", lambda: 4)
    assert processes(Launch(nproc="auto")) == 4
    assert processes(Launch(nproc="auto"), use_cpu=True) == 1
    assert processes(Launch(nproc="3")) == 3
    assert processes(Launch(max_restarts=2)) == 1
    with pytest.raises(TrainError, match="there are 4 GPUs"):
        processes(Launch(nproc="5"))
    monkeypatch.setattr("ftadvise_trainer.processes.launch._gpus", lambda: 0)
    assert (processes(Launch(nproc="auto")), processes(Launch(nproc="5"))) == (1, 5)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Note what would be launched."""
    found: list[tuple[Any, ...]] = []

    def run(*given: Any) -> Ended:
        found.append(given)
        return Ended(143, ("process 1 failed:",))

    monkeypatch.setattr("ftadvise_trainer.processes.launch.run", run)
    monkeypatch.delenv("RANK", raising=False)
    return found


def test_each_process_gets_the_command_without_the_launch(
    launches: list[tuple[Any, ...]],
) -> None:
    more = ("--set", "training.seed=7", "--set", "data.format=auto", "--output-dir", "a b")
    how = ("--auto=override", "--from", "old.json", "--no-resume", "--allow-changed", "--quiet")
    result = invoke("--nproc", "2", "--max-restarts", "3", *more, *how, CONFIG)
    assert result.exit_code == 143
    assert result.stderr == "process 1 failed:\n"
    ((wanted, nproc, arguments),) = launches
    assert (wanted, nproc) == (Launch(nproc="2", max_restarts=3), 2)
    assert arguments == [
        "--set=training.seed=7",
        "--set=data.format=auto",
        "--from=old.json",
        "--output-dir=a b",
        "--auto=override",
        "--allow-changed",
        "--quiet",
        "--no-resume",
        "--",
        CONFIG,
    ]
    again = commands.train.make_context("train", list(arguments))
    assert again.params["overrides"] == ("training.seed=7", "data.format=auto")
    assert again.params["resume"] is False
    assert again.params["config"] == CONFIG


def test_a_mistake_in_the_settings_starts_nothing(launches: list[tuple[Any, ...]]) -> None:
    result = invoke("--nproc", "2", CONFIG, "--set", "training.sed=1", "--set", "data.trian=1")
    assert result.exit_code == 2
    assert "did you mean seed?" in result.stderr
    assert launches == []


def test_one_process_without_restarts_trains_in_the_command_itself(
    launches: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftadvise_trainer.processes.launch._gpus", lambda: 1)
    monkeypatch.setattr(commands, "_train", lambda *given: 0)
    assert invoke("--nproc", "auto", CONFIG).exit_code == 0
    assert launches == []
    assert invoke("--nproc", "auto", "--max-restarts", "1", CONFIG).exit_code == 143
    assert len(launches) == 1


def test_torchrun_may_not_launch_again(
    launches: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    result = invoke("--nproc", "2", CONFIG)
    assert result.exit_code == 2
    assert launches == []


def test_a_dry_run_of_several_processes_starts_none_and_counts_for_each(
    launches: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def dry_run(config: Any, **how: Any) -> Any:
        asked.append(how)
        return made_dry_run(processes=6, spread="cut into parts")

    monkeypatch.setattr("ftadvise_trainer.dryrun.dry_run", dry_run)
    more = ("--nnodes", "2", "--rdzv", "host:29500", "--dry-run")
    result = invoke("--nproc", "3", *more, CONFIG)
    assert result.exit_code == 0, result.stderr
    assert launches == []
    assert (asked[0]["nproc"], asked[0]["nnodes"]) == (3, 2)
    assert "6: cut into parts" in result.stdout
    assert "needed by each of 6 processes" in result.stdout


# What the processes tell --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> LaunchFolder:
    log = tmp_path / "logs" / "run" / "attempt_0" / "1" / "stderr.log"
    log.parent.mkdir(parents=True)
    log.write_text("error: no room \x1b[2J[FT504]\n")
    return LaunchFolder(tmp_path)


def test_the_error_of_another_process_is_shown_without_what_acts(folder: LaunchFolder) -> None:
    folder.put(0, End(0, 1, final=False, lost=True))
    folder.put(0, End(1, 3, final=True))
    first, second = folder.complaints(0, {})
    assert first == "process 1 failed:"
    assert "no room" in second
    assert "\x1b" not in second


def test_what_the_first_process_has_said_on_the_terminal_is_not_said_again(
    folder: LaunchFolder,
) -> None:
    folder.put(0, End(0, 2, final=True))
    folder.put(0, End(1, 2, final=True))
    assert folder.complaints(0, {}) == []


def test_a_process_that_was_killed_is_named_and_one_that_torchrun_has_ended_is_not(
    folder: LaunchFolder,
) -> None:
    dead = {0: -signal.SIGTERM, 1: -signal.SIGKILL}
    said = folder.complaints(0, dead)
    assert [line for line in said if line.startswith("process")] == [
        "process 0 was killed by SIGTERM",
        "process 1 was killed by SIGKILL",
    ] or said[0] == "process 1 was killed by SIGKILL"
    assert died(-200) == "was killed by signal 200"
    assert died(3) == "ended with exit status 3"


@pytest.mark.parametrize(
    ("stop", "before", "code"),
    [
        (None, [End(0, 2, final=True)], 2),
        (None, [End(0, 1, final=False, lost=True), End(1, 4, final=True)], 4),
        (signal.SIGTERM, [], 143),
        (None, [End(0, 1, final=False), End(1, 0, final=True)], None),
        (None, [], None),
    ],
)
def test_another_attempt_ends_at_once_where_it_could_change_nothing(
    tmp_path: Path, stop: int | None, before: list[End], code: int | None
) -> None:
    folder = LaunchFolder(tmp_path)
    for end in before:
        folder.put(0, end)
    if stop is not None:
        folder.stop(stop)
    found = launched._ended_already(folder, 1, 0)  # pyright: ignore[reportPrivateUsage]
    assert (found.code if found else None) == code


def test_a_lost_connection_is_told_from_a_mistake_of_this_process() -> None:
    gone = "[gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:8616: Connection reset by peer"
    assert launched.lost_contact(RuntimeError(gone))
    assert launched.lost_contact(ConnectionResetError())
    assert not launched.lost_contact(RuntimeError("shapes (3, 4) and (5, 6) do not fit"))
    assert not launched.lost_contact(ValueError("gloo"))


# Whole runs ---------------------------------------------------------------------------------------


RANK = """
import io, sys
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.training import train
train(load_config(sys.argv[2]), stream=io.StringIO())
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nobody has broken off, and nobody has launched."""
    folder = tmp_path_factory.mktemp("whole")
    script = folder / "rank.py"
    script.write_text(RANK)
    run_ranks(script, folder, str(settings(folder)))
    return folder


def check_said(done: Done, folder: Path) -> None:
    assert done.out == f"{folder / 'out' / 'final'}\n"
    assert done.err.count("ftadvise train ") == 1
    assert done.err.count("epoch 3.0  eval loss") == 1, "the others keep quiet"
    for noise in ("Traceback", "torchrun", "elastic", "OMP_NUM_THREADS", "[Gloo]"):
        assert noise not in done.err, done.err
    assert not list((folder / "out").glob(".tokens*"))


def test_a_process_that_is_killed_has_all_start_again_and_end_with_the_same_model(
    whole: Path, tmp_path: Path
) -> None:
    config = str(settings(tmp_path, whole))
    done = launch(
        *("--nproc", "2", "--max-restarts", "1", config),
        when=saved(tmp_path),
        then=kill_last_process,
    )
    assert done.code == 0, done.err
    check_said(done, tmp_path)
    assert "a process was lost: all are started again (1 of 1)" in done.err
    assert "going on from checkpoint-" in done.err
    assert losses(tmp_path / "out") == losses(whole / "out")
    assert weights(tmp_path / "out") == weights(whole / "out")


@pytest.mark.long
def test_a_launch_that_nobody_disturbs_ends_with_the_model_of_processes_that_nobody_launched(
    whole: Path, tmp_path: Path
) -> None:
    done = launch("--nproc", "2", str(settings(tmp_path, whole)))
    assert done.code == 0, done.err
    check_said(done, tmp_path)
    assert losses(tmp_path / "out") == losses(whole / "out")
    assert weights(tmp_path / "out") == weights(whole / "out")


@pytest.mark.long
def test_a_process_that_is_killed_ends_the_run_where_no_restart_is_left(tmp_path: Path) -> None:
    config = str(settings(tmp_path))
    done = launch("--nproc", "2", config, when=saved(tmp_path), then=kill_last_process)
    assert done.code == 128 + signal.SIGKILL
    assert "process 1 was killed by SIGKILL" in done.err
    assert "Traceback" not in done.err
    assert newest_valid(tmp_path / "out")[0] is not None


@pytest.mark.long
def test_sigterm_to_the_launcher_saves_and_the_run_goes_on_to_the_same_end(
    whole: Path, tmp_path: Path
) -> None:
    config = str(settings(tmp_path, whole))
    given = ("--nproc", "2", "--max-restarts", "2", config)
    done = launch(*given, when=saved(tmp_path), then=terminate)
    assert done.code == 143, done.err
    assert "preempted (SIGTERM)" in done.err
    assert "started again" not in done.err
    newest, skipped = newest_valid(tmp_path / "out")
    assert newest is not None
    assert skipped == []
    assert launch(*given).code == 0
    assert losses(tmp_path / "out") == losses(whole / "out")
    assert weights(tmp_path / "out") == weights(whole / "out")


@pytest.mark.long
def test_sigterm_before_the_training_begins_ends_the_launch_too(tmp_path: Path) -> None:
    config = str(settings(tmp_path))
    given = ("--nproc", "2", "--max-restarts", "2", config)
    done = launch(*given, when=(tmp_path / "out").exists, then=terminate)
    assert done.code == 143, done.err
    assert not (tmp_path / "out" / "final").exists()


@pytest.mark.long
def test_a_mistake_that_only_the_run_can_find_is_said_once_and_not_repeated(
    tmp_path: Path,
) -> None:
    config = str(settings(tmp_path, report_to=["swanlab"]))
    done = launch("--nproc", "2", "--max-restarts", "3", config)
    assert done.code == 2
    assert done.err.count("error: ") == 1
    assert "started again" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.long
def test_two_launchers_meet_as_two_hosts_do(whole: Path, tmp_path: Path) -> None:
    import socket
    from concurrent.futures import ThreadPoolExecutor

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{listener.getsockname()[1]}"
    config = str(settings(tmp_path, whole))
    given = ("--nproc", "1", "--nnodes", "2", "--rdzv", place, config)
    with ThreadPoolExecutor() as pool:
        hosts = list(pool.map(lambda rank: launch(*given, "--node-rank", rank), ("0", "1")))
    assert [host.code for host in hosts] == [0, 0], [host.err for host in hosts]
    assert sorted(host.out for host in hosts) == ["", f"{tmp_path / 'out' / 'final'}\n"]
    assert weights(tmp_path / "out") == weights(whole / "out")


def test_the_launcher_is_not_part_of_the_environment_of_this_process() -> None:
    assert "FTADVISE_LAUNCH" not in os.environ
