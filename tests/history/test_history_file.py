"""Files that are no history, are damaged, belong to tomorrow or are in use."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from made_histories import kept_in
from made_runs import make_run

from ftadvise import history
from ftadvise.history import HistoryError, default_path
from ftadvise.history.file import writing

Call = Callable[[], object]
BOTH: list[Call] = [history.runs, lambda: history.add(make_run())]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_in(tmp_path, monkeypatch)


def refused(call: Call) -> HistoryError:
    with pytest.raises(HistoryError) as caught:
        call()
    assert caught.value.hint
    return caught.value


def run_sql(place: Path, *statements: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(place, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.parametrize("call", BOTH)
def test_a_file_that_is_no_database_is_refused_and_not_touched(call: Call, place: Path) -> None:
    place.parent.mkdir()
    text = b"dear diary, " * 200
    place.write_bytes(text)
    assert refused(call).code == "FT421"
    assert place.read_bytes() == text
    assert [p.name for p in place.parent.iterdir()] == [place.name]


@pytest.mark.parametrize("call", BOTH)
def test_the_database_of_another_program_is_refused_and_not_touched(
    call: Call, place: Path
) -> None:
    run_sql(place, "CREATE TABLE bookmarks (url)")
    before = place.read_bytes()
    assert refused(call).code == "FT421"
    assert place.read_bytes() == before


@pytest.mark.parametrize("call", BOTH)
def test_a_folder_or_a_pipe_in_its_place_is_refused(call: Call, place: Path) -> None:
    place.mkdir(parents=True)
    assert refused(call).code == "FT421"
    place.rmdir()
    os.mkfifo(place)
    assert refused(call).code == "FT421"


@pytest.mark.parametrize("call", BOTH)
def test_a_file_of_a_newer_ftadvise_is_left_alone(call: Call, place: Path) -> None:
    history.add(make_run())
    run_sql(place, "PRAGMA user_version = 99")
    found = refused(call)
    assert found.code == "FT423"
    assert "Upgrade" in found.hint


@pytest.mark.parametrize("call", BOTH)
@pytest.mark.parametrize("cut", [150, 4096, 6000])
def test_a_file_cut_short_is_refused_kept_and_to_be_moved_aside(
    call: Call, cut: int, place: Path
) -> None:
    for seed in range(3):
        history.add(make_run(seed=seed, noise=0.1))
    whole = place.read_bytes()
    place.write_bytes(whole[:cut])
    found = refused(call)
    assert found.code in ("FT421", "FT422")
    assert "move" in found.hint
    assert place.read_bytes()[:100] == whole[:100]


def test_damage_anywhere_ends_in_rows_or_in_an_error_of_ours(place: Path) -> None:
    for seed in range(3):
        history.add(make_run(seed=seed, noise=0.1))
    whole = place.read_bytes()
    for seed in range(40):
        rng = random.Random(seed)
        broken = bytearray(whole)
        for _ in range(rng.choice([1, 5, 50])):
            broken[rng.randrange(100, len(broken))] = rng.randrange(256)
        place.write_bytes(broken)
        for leftover in place.parent.glob("*-*"):
            leftover.unlink()
        for call in (lambda: history.comparable(make_run()), lambda: history.load(2), *BOTH):
            with suppress(HistoryError):
                call()


def test_one_damaged_run_is_named_and_costs_no_other(place: Path) -> None:
    ids = [history.add(make_run(scale=1.0 + n)) for n in range(3)]
    run_sql(place, f"UPDATE runs SET eval = '[[1,2' WHERE id = {ids[1]}")
    with pytest.raises(HistoryError, match="run 2") as caught:
        history.load(ids[1])
    assert caught.value.code == "FT422"
    assert {found.entry.id for found in history.comparable(make_run(scale=9.0))} == {1, 3}
    assert len(history.runs()) == 3


def test_a_writer_waits_for_another(place: Path) -> None:
    history.add(make_run())
    release = threading.Event()
    held = threading.Event()

    def hold() -> None:
        with writing(place):
            held.set()
            release.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    threading.Timer(0.3, release.set).start()
    assert history.add(make_run(scale=2.0)) == 2
    other.join()


def test_many_who_begin_a_history_at_once_make_one_and_lose_nothing(place: Path) -> None:
    together = threading.Barrier(8)
    ids: list[int] = []

    def begin(scale: float) -> None:
        together.wait(10)
        ids.append(history.add(make_run(scale=scale)))

    writers = [threading.Thread(target=begin, args=(1.0 + n // 2,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(ids) == [1, 1, 2, 2, 3, 3, 4, 4], "each of four runs was added twice"
    assert len(history.runs()) == 4


def test_a_writer_who_waited_too_long_says_so(place: Path) -> None:
    history.add(make_run())
    with writing(place):
        found = refused(lambda: history.add(make_run(scale=2.0), patience=0.1))
    assert found.code == "FT425"


def test_what_raises_half_way_leaves_nothing_behind(place: Path) -> None:
    history.add(make_run())

    def broken_off() -> None:
        with writing(place) as db:
            db.execute("DELETE FROM runs")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert len(history.runs()) == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FTADVISE_HISTORY": "/x/y.db"}, "/x/y.db"),
        ({"FTADVISE_HISTORY": "~/h.db"}, "/home/me/h.db"),
        ({"XDG_DATA_HOME": "/data"}, "/data/ftadvise/history.sqlite3"),
        ({"XDG_DATA_HOME": "relative"}, "/home/me/.local/share/ftadvise/history.sqlite3"),
        ({}, "/home/me/.local/share/ftadvise/history.sqlite3"),
    ],
)
def test_where_it_lies_is_as_the_environment_says(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", "/home/me")
    for name in ("FTADVISE_HISTORY", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(default_path()) == expected


@pytest.mark.parametrize(
    ("platform", "part"),
    [("darwin", "Library/Application Support/ftadvise"), ("win32", "AppData/Local/ftadvise")],
)
def test_other_systems_have_data_folders_of_their_own(
    platform: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    for name in ("FTADVISE_HISTORY", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert part in default_path().as_posix()


def test_off_keeps_no_history_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert history.enabled()
    monkeypatch.setenv("FTADVISE_HISTORY", "off")
    assert not history.enabled()
    for call in BOTH:
        assert refused(call).code == "FT428"


def test_a_folder_with_signs_in_its_name_is_no_trouble(tmp_path: Path) -> None:
    odd = tmp_path / "a?mode=ro#b %41 é" / "h.sqlite3"
    history.add(make_run(), path=odd)
    assert len(history.runs(path=odd)) == 1
    assert odd.is_file()
