from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ftadvise.config import files
from ftadvise.config.errors import ConfigFileError


def made(folder: Path, raw: bytes = b"a: 1\n") -> Path:
    path = folder / "training.yaml"
    path.write_bytes(raw)
    return path


def test_a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = made(tmp_path, b"\xef\xbb\xbfa: 1\r\n")
    path.chmod(0o640)
    file = files.read(path)
    files.replace(file, file.text.replace("1", "2"))
    assert path.read_bytes() == b"\xef\xbb\xbfa: 2\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["training.yaml"]


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path) -> None:
    inner = tmp_path / "configs"
    inner.mkdir()
    target = made(inner)
    link = tmp_path / "link.yaml"
    link.symlink_to(Path("configs", "training.yaml"))
    files.replace(files.read(link), "a: 2\n")
    assert link.is_symlink()
    assert target.read_text() == "a: 2\n"


@pytest.mark.parametrize("kind", ["nothing", "folder", "dangling", "loop", "pipe", "two names"])
def test_what_is_no_file_of_its_own_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "training.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("nowhere.yaml")
    elif kind == "loop":
        path.symlink_to("training.yaml")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "two names":
        os.link(made(tmp_path), tmp_path / "other.yaml")
    with pytest.raises(ConfigFileError) as caught:
        files.read(path)
    assert caught.value.code == "FT431"


@pytest.mark.parametrize(
    "raw", [b"a: \xff\n", "a: é\n".encode("latin-1"), "a: 1".encode("utf-16")]
)
def test_what_is_not_utf8_is_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(ConfigFileError) as caught:
        files.read(made(tmp_path, raw))
    assert caught.value.code == "FT432"


def test_a_file_too_large_for_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match="larger than 256 kB"):
        files.read(made(tmp_path, b"#" * 256_001))


def test_a_change_by_somebody_else_in_between_is_not_overwritten(tmp_path: Path) -> None:
    path = made(tmp_path)
    file = files.read(path)
    path.write_text("a: 3\n")
    with pytest.raises(ConfigFileError, match="changed by somebody else"):
        files.replace(file, "a: 2\n")
    assert path.read_text() == "a: 3\n"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = made(tmp_path)
    file = files.read(path)
    owner = {"fsync": os, "replace": Path}[call]
    monkeypatch.setattr(owner, call, fail)
    with pytest.raises(ConfigFileError, match="No space left") as caught:
        files.replace(file, "a: 2\n")
    assert caught.value.code == "FT438"
    assert path.read_text() == "a: 1\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_new_text_is_on_the_disk_before_it_gets_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def noted_rename(old: Path, new: Path) -> Path:
        done.append("rename")
        assert old.parent == new.parent
        return rename(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    files.replace(files.read(made(tmp_path)), "a: 2\n")
    assert done == ["file", "rename", "folder"]


_REPLACE = """
import sys
from ftadvise.config import files
files.replace(files.read(sys.argv[1]), "a: 2\\n" * 1000)
"""


def traceable() -> bool:
    command = ["strace", "-o", os.devnull, "true"]
    return bool(shutil.which("strace")) and subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC"])
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_fault_at_any_call_leaves_the_old_text_or_the_new(
    tmp_path: Path, call: str, fault: str
) -> None:
    if not traceable():
        pytest.skip("strace is not there, or may not trace")
    old, new = b"a: 1\n", b"a: 2\n" * 1000
    path = made(tmp_path)
    nth = 0
    for nth in range(1, 20):
        path.write_bytes(old)
        command = [
            "strace",
            "-f",
            "-qq",
            "-o",
            os.devnull,
            "-e",
            f"inject={call}:{fault}:when={nth}",
        ]
        done = subprocess.run(
            [*command, sys.executable, "-B", "-c", _REPLACE, str(path)],
            check=False,
            capture_output=True,
        )
        assert path.read_bytes() in (old, new)
        if done.returncode == 0 and path.read_bytes() == new:
            break  # there are fewer such calls, so that this one went through
        if "ENOSPC" in fault and path.read_bytes() == old:
            assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert 1 < nth < 20
