"""One save, killed or starved at the system calls it makes, by strace."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from checkpoint_cases import make_checkpoint, save_step_4

from ftadvise_trainer.saving.checkpoints import clear_unfinished, newest_valid, problems

SCRIPT = Path(__file__).with_name("saving_script.py")
CHANGES = "mkdir,write,fsync,rename,unlink,unlinkat,rmdir"  # the calls that change the disk

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace (apt-get install strace)"
)


def strace(folder: Path, *options: str) -> int:
    command = ["strace", "-f", "-qq", *options, sys.executable, "-S", "-s", str(SCRIPT)]
    return subprocess.run(
        [*command, str(folder)], capture_output=True, check=False, timeout=60
    ).returncode


def calls_of_a_save(before: Path, tmp_path: Path, kind: str) -> list[tuple[str, int]]:
    """Return the calls that the save makes: name, and which one of that name in the process."""
    log = tmp_path / "log"
    folder = shutil.copytree(before, tmp_path / "counting")
    traced = "all" if kind == "all" else f"{kind},umask"
    assert strace(folder, "-o", str(log), "-e", f"trace={traced}") == 0
    names = re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE)
    seen: Counter[str] = Counter()
    calls: list[tuple[str, int]] = []
    for name in names:
        seen[name] += 1
        if seen["umask"] == 1 and name != "umask":  # between the two marks of the script
            calls.append((name, seen[name]))
    return calls


@pytest.fixture
def before(tmp_path: Path) -> Path:
    folder = tmp_path / "before"
    make_checkpoint(folder, 2, eval_loss=0.5)
    make_checkpoint(folder, 3, eval_loss=0.6)
    return folder


def check_what_is_left(folder: Path, where: object) -> None:
    assert problems(folder / "checkpoint-2") == [], f"the best was lost at {where}"
    found, _ = newest_valid(folder)
    assert found is not None, where
    assert found.name in ("checkpoint-3", "checkpoint-4"), f"{found} at {where}"
    clear_unfinished(folder)
    assert newest_valid(folder) == (found, []), where
    if found.name == "checkpoint-3":
        save_step_4(folder)  # the resumed run comes to that step again
        left = sorted(p.name for p in folder.iterdir())
        assert left == ["checkpoint-2", "checkpoint-4"], where


def kill_at_each(before: Path, tmp_path: Path, kind: str) -> int:
    calls = calls_of_a_save(before, tmp_path, kind)
    for name, number in calls:
        folder = shutil.copytree(before, tmp_path / "killed")
        status = strace(folder, "-e", f"inject={name}:signal=KILL:when={number}")
        assert status == -9, (name, number)
        check_what_is_left(folder, (name, number))
        shutil.rmtree(folder)
    return len(calls)


def test_a_kill_at_any_call_that_changes_the_disk_costs_one_save_at_most(
    before: Path, tmp_path: Path
) -> None:
    assert kill_at_each(before, tmp_path, CHANGES) > 30


@pytest.mark.long
def test_a_kill_at_any_system_call_of_a_save_costs_one_save_at_most(
    before: Path, tmp_path: Path
) -> None:
    assert kill_at_each(before, tmp_path, "all") > 200


@pytest.mark.parametrize(
    ("calls", "error"), [("write,mkdir", "ENOSPC"), ("fsync", "EIO"), ("rename,unlinkat", "EROFS")]
)
def test_a_disk_that_fails_at_any_call_ends_with_status_3_and_a_valid_checkpoint(
    before: Path, tmp_path: Path, calls: str, error: str
) -> None:
    numbers = calls_of_a_save(before, tmp_path, calls)
    assert len(numbers) >= 3
    for name, number in numbers:
        folder = shutil.copytree(before, tmp_path / "starved")
        status = strace(folder, "-e", f"inject={name}:error={error}:when={number}")
        assert status == 3, (name, number)
        check_what_is_left(folder, (name, number))
        shutil.rmtree(folder)
