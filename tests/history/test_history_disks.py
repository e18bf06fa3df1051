"""Disks that cannot be written, are full, or lie at the other end of a network."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_histories import kept_in
from made_runs import make_run

from ftadvise import history
from ftadvise.history import file
from ftadvise.history.place import disk_of, on_network

ROOT = Path(__file__).resolve().parents[2]

Mounted = Callable[[str, str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_in(tmp_path, monkeypatch)


@pytest.fixture
def mounted(place: Path) -> Mounted:
    """Run Python after a mount that it alone sees; skip where that is not allowed."""

    def run(mount: str, program: str) -> subprocess.CompletedProcess[str]:
        command = ["unshare", "-rm", "sh", "-c", f'set -e; {mount}; exec "$0" -c "$1"']
        return subprocess.run(
            [*command, sys.executable, program],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'advisor'}:{ROOT / 'tests'}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    if not shutil.which("unshare") or run("mount -t tmpfs none /mnt", "").returncode:
        pytest.skip("mounting is not allowed here")
    return run


def read_only(path: Path) -> str:
    folder = path.parent
    return f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}"


READ = """
from ftadvise import history
print([e.id for e in history.runs()], len(history.load(1).eval))
"""
ADD = """
from ftadvise import history
from made_runs import make_run
try:
    history.add(make_run(scale=3.0))
except history.HistoryError as error:
    print(error.code, error.message)
"""


def test_a_history_on_a_read_only_disk_is_read(place: Path, mounted: Mounted) -> None:
    history.add(make_run(evals=10))
    done = mounted(read_only(place), READ)
    assert done.stdout == "[1] 10\n", done.stderr


def test_rows_that_a_killed_writer_left_in_the_log_are_read_there_too(
    place: Path, mounted: Mounted, tmp_path: Path
) -> None:
    history.add(make_run(evals=10))
    db = sqlite3.connect(place)  # keeps the next row in the log
    db.execute("SELECT count(*) FROM runs").fetchone()
    history.add(make_run(scale=2.0))
    other = tmp_path / "left" / place.name
    other.parent.mkdir()
    for name in (place.name, f"{place.name}-wal"):
        shutil.copy(place.with_name(name), other.with_name(name))
    db.close()
    done = mounted(f"{read_only(other)}; export FTADVISE_HISTORY={other}", READ)
    assert done.stdout == "[2, 1] 10\n", done.stderr


def test_a_read_only_disk_is_not_written_and_that_is_said(place: Path, mounted: Mounted) -> None:
    history.add(make_run())
    done = mounted(read_only(place), ADD)
    assert done.stdout.startswith("FT424 "), done.stderr


def test_a_full_disk_is_said_and_what_was_there_stays(place: Path, mounted: Mounted) -> None:
    program = """
from ftadvise import history
from made_runs import make_run
kept, code = [], ""
for seed in range(200):
    try:
        kept.append(history.add(make_run(noise=0.01, seed=seed)))
    except history.HistoryError as error:
        code = error.code
        break
there = [e.id for e in history.runs()][::-1]
print(code, len(kept) > 2, there == kept, len(history.load(kept[-1]).eval))
"""
    mount = f"mkdir -p {place.parent}; mount -t tmpfs -o size=300k none {place.parent}"
    done = mounted(mount, program)
    assert done.stdout == "FT424 True True 10\n", done.stderr


def test_on_a_disk_that_is_full_to_the_last_byte_it_can_still_be_read(
    place: Path, mounted: Mounted
) -> None:
    program = """
from ftadvise import history
from made_runs import make_run
history.add(make_run(evals=10))
folder = history.default_path().parent
with open(folder / "filler", "wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError:
        pass
print([e.id for e in history.runs()], len(history.load(1).eval))
"""
    mount = f"mkdir -p {place.parent}; mount -t tmpfs -o size=300k none {place.parent}"
    done = mounted(mount, program)
    assert done.stdout == "[1] 10\n", done.stderr


def test_on_one_machine_readers_and_writers_do_not_wait_for_each_other(place: Path) -> None:
    history.add(make_run())
    with file.writing(place) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert len(history.runs(patience=0.1)) == 1


def test_on_a_network_disk_no_memory_is_shared(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "on_network", lambda _: True)
    history.add(make_run())
    with file.writing(place) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert not list(place.parent.glob("*-shm"))
    monkeypatch.setattr(file, "on_network", lambda _: False)
    assert history.add(make_run(scale=2.0)) == 2, "moved to a disk of its own it goes on"


MOUNTS = """\
21 1 8:1 / / rw - ext4 /dev/vda rw
22 21 0:40 / /home rw shared:5 - nfs4 server:/home rw
23 22 8:2 / /home/me/fast\\040disk rw - xfs /dev/vdb rw
24 21 0:41 / /scratch rw - lustre mds:/scratch rw
a line of something else
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home/me/.local", "nfs4"),
        ("/home/me/fast disk/x", "xfs"),
        ("/homes", "ext4"),
        ("/scratch/me", "lustre"),
    ],
)
def test_the_longest_mount_point_says_what_disk_a_folder_is_on(folder: str, kind: str) -> None:
    assert disk_of(Path(folder), MOUNTS.splitlines()) == kind


def test_the_disk_of_this_machine_is_looked_up(tmp_path: Path) -> None:
    assert on_network(tmp_path / "x") in (True, False)
