from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_states import lines_until, state_until

from ftadvise.errors import LogError
from ftadvise.watching import following
from ftadvise.watching.following import Follower, Look

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
Opens = list[tuple[str, int]]
recorders: list[Opens] = []


def _note_opens(event: str, args: tuple[object, ...]) -> None:
    if recorders and event == "open" and isinstance(args[0], str | os.PathLike):
        flags = args[2] if isinstance(args[2], int) else 0
        recorders[-1].append((os.fspath(args[0]), flags))


sys.addaudithook(_note_opens)  # which cannot be taken away again


@pytest.fixture
def opened() -> Iterator[Opens]:
    """Record which files are opened, and how."""
    recorders.append([])
    yield recorders[-1]
    recorders.clear()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def evals(look: Look) -> int:
    assert look.run is not None
    return len(look.run.eval)


def settled(follower: Follower, now: float = 0.0) -> Look:
    """Look until the log is no longer taken for half written."""
    look = follower.look(now)
    return follower.look(now) if look.again else look


def test_a_file_that_does_not_exist_yet_is_waited_for(log: Path) -> None:
    follower = Follower(str(log))
    assert follower.look(0.0).run is None
    assert follower.failure is not None
    assert follower.failure.code == "FT401"
    log.write_text(lines_until(120))
    look = follower.look(1.0)
    assert look.fresh
    assert evals(look) == 2
    assert follower.failure is None


def test_an_unchanged_log_is_not_read_again(
    log: Path, monkeypatch: pytest.MonkeyPatch, opened: Opens
) -> None:
    log.write_text(lines_until(120))
    follower = Follower(str(log))
    follower.look(0.0)
    monkeypatch.setattr(following, "read_all", None)
    opened.clear()
    assert not any(follower.look(float(now)).fresh for now in range(100))
    assert str(log) not in dict(opened)


def test_the_log_is_opened_for_reading_alone_and_keeps_its_time(log: Path, opened: Opens) -> None:
    log.write_text(lines_until(120))
    before = log.stat().st_mtime_ns
    opened.clear()
    Follower(str(log)).look(0.0)
    flags = [flag for path, flag in opened if path == str(log)]
    assert flags
    assert not any(flag & _WRITES for flag in flags)
    assert log.stat().st_mtime_ns == before


def test_every_prefix_of_a_growing_log_is_read_without_trouble(log: Path) -> None:
    text = lines_until(180)
    follower = Follower(str(log), grace=0.0)
    seen = 0
    for size in [*range(0, len(text), 97), len(text)]:
        log.write_text(text[:size])
        look = follower.look(0.0)
        if look.run is not None:
            assert evals(look) >= seen, "a half-written line took evaluations away"
            seen = evals(look)
            assert look.trouble is None
    assert seen == 3


def test_a_state_caught_half_written_keeps_the_run_and_is_looked_at_again_soon(
    tmp_path: Path,
) -> None:
    log = tmp_path / "trainer_state.json"
    log.write_text(state_until(120))
    follower = Follower(str(log))
    follower.look(0.0)
    whole = state_until(180)
    for size in (0, 1, len(whole) // 2, whole.rindex("}")):
        log.write_text(whole[:size])
        look = follower.look(1.0)
        assert look.again
        assert not look.fresh
        assert look.trouble is None
        assert evals(look) == 2
    log.write_text(whole)
    assert evals(follower.look(2.0)) == 3


def test_a_log_that_stays_broken_becomes_trouble_and_is_not_read_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "trainer_state.json"
    log.write_text(state_until(120))
    follower = Follower(str(log), grace=10.0)
    follower.look(0.0)
    log.write_text(state_until(180)[:-30])
    looks = [follower.look(now) for now in (1.0, 1.2, 1.4, 10.9, 11.3)]
    assert [look.trouble is not None for look in looks] == [False] * 4 + [True]
    assert looks[-1].trouble is not None
    assert looks[-1].trouble.code == "FT404"
    assert evals(looks[-1]) == 2
    monkeypatch.setattr(following, "read_all", None)
    assert follower.look(20.0).trouble is not None


def test_trouble_is_over_when_the_log_can_be_read_again(tmp_path: Path) -> None:
    log = tmp_path / "trainer_state.json"
    log.write_text("{")
    follower = Follower(str(log), grace=0.0)
    settled(follower)
    assert settled(follower).trouble is not None
    log.write_text(state_until(120))
    look = settled(follower)
    assert look.trouble is None
    assert look.fresh


def test_a_replaced_log_is_read_though_its_size_and_time_are_those_of_the_old_one(
    log: Path, tmp_path: Path
) -> None:
    log.write_text(lines_until(120))
    follower = Follower(str(log))
    follower.look(0.0)
    status = log.stat()
    new = tmp_path / "new"
    new.write_text(lines_until(120).replace("1.1097", "1.2097"))
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(log)
    assert log.stat().st_size == status.st_size
    assert follower.look(1.0).fresh


def test_a_truncated_log_begins_anew(log: Path) -> None:
    log.write_text(lines_until(240))
    follower = Follower(str(log))
    assert evals(follower.look(0.0)) == 4
    log.write_text("")
    assert follower.look(1.0).trouble is None
    log.write_text(lines_until(60))
    assert evals(settled(follower, 2.0)) == 1


def test_a_deleted_log_keeps_its_run_is_told_after_a_while_and_comes_back(
    log: Path, tmp_path: Path
) -> None:
    log.write_text(lines_until(120))
    follower = Follower(str(log), grace=10.0)
    follower.look(0.0)
    away = tmp_path / "away"
    log.rename(away)
    assert follower.look(1.0).trouble is None
    look = follower.look(12.0)
    assert look.trouble is not None
    assert look.trouble.code == "FT401"
    assert evals(look) == 2
    away.rename(log)  # the same inode, size and time
    assert follower.look(13.0).trouble is None


def test_of_a_log_that_was_started_again_the_last_start_is_followed(log: Path) -> None:
    log.write_text(lines_until(480))
    follower = Follower(str(log))
    assert evals(follower.look(0.0)) == 8
    with log.open("a") as file:
        file.write(lines_until(60))
    look = settled(follower, 1.0)
    assert evals(look) == 1


def test_a_named_run_is_followed_and_waited_for(log: Path) -> None:
    rows = [json.loads(line) for line in lines_until(120).splitlines()]
    log.write_text(json.dumps({"first": rows}))
    follower = Follower(str(log), name="second")
    settled(follower)
    assert follower.failure is not None
    assert follower.failure.code == "FT409"
    log.write_text(json.dumps({"first": rows, "second": rows}))
    look = settled(follower)
    assert look.run is not None
    assert look.run.source.run == "second"


def test_in_a_folder_the_newest_state_is_followed_not_one_of_an_older_run(tmp_path: Path) -> None:
    old = tmp_path / "trainer_state.json"
    old.write_text(state_until(480))
    long_ago = time.time() - 3600
    os.utime(old, (long_ago, long_ago))
    new = tmp_path / "checkpoint-60" / "trainer_state.json"
    new.parent.mkdir()
    new.write_text(state_until(60))
    follower = Follower(str(tmp_path))
    look = follower.look(0.0)
    assert look.file == new
    assert evals(look) == 1
    newer = tmp_path / "checkpoint-120" / "trainer_state.json"
    newer.parent.mkdir()
    newer.write_text(state_until(120))
    assert follower.look(1.0).file == newer


def test_a_folder_is_waited_for_until_it_holds_a_log(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    follower = Follower(str(folder))
    assert follower.look(0.0).run is None
    folder.mkdir()
    assert follower.look(1.0).run is None
    (folder / "config.json").write_text("{}")
    assert follower.look(2.0).run is None
    (folder / "history.json").write_text(json.dumps({"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}))
    look = follower.look(3.0)
    assert look.run is not None
    assert look.file == folder / "history.json"
    assert look.written == pytest.approx(time.time(), abs=60)


def test_what_can_never_be_a_log_is_an_error_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(LogError, match="not a regular file") as error:
        Follower(str(pipe)).look(0.0)
    assert error.value.code == "FT408"
    pointer = tmp_path / "pointer.json"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(LogError) as error:
        settled(Follower(str(pointer)))
    assert error.value.code == "FT403"
