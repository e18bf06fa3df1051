from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.lock import FolderLock

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
sys.path[:0] = sys.argv[2:]
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.lock import FolderLock
sys.stdin.readline()
start = time.monotonic()
try:
    with FolderLock(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.readline()
except TrainError as error:
    print(f"{time.monotonic() - start:.3f} {error.code} {error.exit_code} {error}", flush=True)
"""


def start(folder: Path, script: str = HOLD) -> subprocess.Popen[str]:
    roots = [str(ROOT / "advisor"), str(ROOT / "trainer")]
    return subprocess.Popen(
        [sys.executable, "-S", "-c", script, str(folder), *roots],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=30)


def test_a_second_run_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(TrainError) as caught, FolderLock(tmp_path):
        pass
    assert (caught.value.code, caught.value.exit_code) == ("FT507", 5)
    assert f"process {os.getpid()} on {socket.gethostname()}" in str(caught.value)


def test_the_other_ranks_of_a_run_go_in_with_the_first(tmp_path: Path) -> None:
    with FolderLock(tmp_path, rank=0), FolderLock(tmp_path, rank=1):
        pass
    with FolderLock(tmp_path, rank=1), FolderLock(tmp_path, rank=0):
        pass


def test_the_folder_is_free_after_the_run(tmp_path: Path) -> None:
    for _ in range(2):
        with FolderLock(tmp_path / "new"):
            assert (tmp_path / "new/.lock").exists()


def test_the_folder_is_free_after_an_error_in_the_run(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FolderLock(tmp_path):
        raise ZeroDivisionError
    with FolderLock(tmp_path):
        pass


def test_the_folder_is_free_at_once_after_kill_9(tmp_path: Path) -> None:
    holder = start(tmp_path)
    tell(holder)
    assert hear(holder) == "held"
    holder.kill()
    holder.communicate(timeout=30)
    with FolderLock(tmp_path):
        pass


FORK = """
import os, sys, time
sys.path[:0] = sys.argv[2:]
from ftadvise_trainer.saving.lock import FolderLock
with FolderLock(sys.argv[1]):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def test_a_forked_worker_does_not_keep_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    holder = start(tmp_path, FORK)
    worker = int(hear(holder))
    try:
        holder.kill()
        holder.wait(timeout=30)
        with FolderLock(tmp_path):
            os.kill(worker, 0)  # it is still there
    finally:
        os.kill(worker, signal.SIGKILL)
        holder.communicate(timeout=30)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 5000, b"[" * 5000, b'{"pid": "\x1b[2Jroot"}', b"null", b"{}"]
)
def test_what_stands_in_the_lock_file_is_never_trusted(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".lock").write_bytes(content)
    with FolderLock(tmp_path):
        (tmp_path / ".lock").write_bytes(content)
        with pytest.raises(TrainError) as caught, FolderLock(tmp_path):
            pass
    assert "\x1b" not in str(caught.value)


def test_a_link_is_not_taken_for_the_lock_file(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), FolderLock(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "precious"


def race(folder: Path, count: int) -> None:
    """Start `count` processes, let them all try at once, and compare what they say."""
    processes = [start(folder) for _ in range(count)]
    time.sleep(0.2)
    for process in processes:
        tell(process)
    said = [hear(process) for process in processes]
    winners = [p for p, line in zip(processes, said, strict=True) if line == "held"]
    assert len(winners) == 1, said
    for line in said:
        if line != "held":
            seconds, code, exit_code, *_ = line.split()
            assert (code, exit_code) == ("FT507", "5")
            assert f"process {winners[0].pid} on {socket.gethostname()}" in line
            assert float(seconds) < 1.0
    for process in processes:
        finish(process)


def test_of_twenty_simultaneous_starts_one_wins_and_the_others_name_it(tmp_path: Path) -> None:
    race(tmp_path, 20)


@pytest.mark.long
def test_of_fifty_simultaneous_starts_one_wins_every_time(tmp_path: Path) -> None:
    for n in range(5):
        race(tmp_path / str(n), 50)
