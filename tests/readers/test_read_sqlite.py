"""SQLite databases are opened without trusting them, and named where no reader knows them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from made_stores import insert, mlflow_database, run_script

from ftadvise.errors import LogError
from ftadvise.history.schema import APPLICATION
from ftadvise.readers.files import sqlite, unknown_sqlite
from ftadvise.readers.source import Source
from ftadvise.testing import check_reader

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS a FROM n"


def numbers(path: Path, count: int) -> Path:
    run_script(path, "CREATE TABLE t (a)")
    return insert(path, "t", [(i,) for i in range(count)])


def read_numbers(path: Path, notes: list[str] | None = None) -> list[int]:
    notes = notes if notes is not None else []
    with sqlite.opened(Source(path)) as db:
        return [row[0] for row in sqlite.rows(db, "SELECT a FROM t ORDER BY rowid", notes=notes)]


def refusal(path: Path) -> LogError:
    with pytest.raises(LogError) as caught:
        unknown_sqlite.READER.read(Source(path))
    return caught.value


def test_an_unknown_database_is_named_by_its_tables(tmp_path: Path) -> None:
    path = run_script(tmp_path / "a.db", "CREATE TABLE cats (a); CREATE TABLE dogs (a)")
    error = refusal(path)
    assert error.code == "FT405"
    assert "2 tables (cats, dogs)" in error.message
    assert "MLflow and Trackio" in error.hint


def test_our_own_history_is_known_without_being_opened(tmp_path: Path) -> None:
    path = run_script(
        tmp_path / "a.db", f"PRAGMA application_id = {APPLICATION}; CREATE TABLE runs (a)"
    )
    error = refusal(path)
    assert "the history of ftadvise itself" in error.message
    assert "ftadvise history" in error.hint


def test_views_and_virtual_tables_and_computed_columns_are_not_seen(tmp_path: Path) -> None:
    script = f"""CREATE VIEW metrics AS {ENDLESS};
        CREATE TABLE t (a, b AS (hex(zeroblob(a))), c AS (a + 1) STORED);"""
    path = run_script(tmp_path / "a.db", script)
    try:
        run_script(path, "CREATE VIRTUAL TABLE runs USING fts5(a)")
    except sqlite3.OperationalError:
        pytest.skip("SQLite was built without full text search")
    found = sqlite.tables(Source(path))
    assert found["t"] == {"a"}
    assert "metrics" not in found
    assert "runs" not in found


def test_a_query_ends_when_the_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run_script(tmp_path / "a.db", "CREATE TABLE t (a)")
    monkeypatch.setattr(sqlite, "MAX_SECONDS", 0.05)
    with pytest.raises(LogError) as caught, sqlite.opened(Source(path)) as db:
        db.execute(f"SELECT count(*) FROM ({ENDLESS})").fetchone()
    assert caught.value.code == "FT407"


def test_no_more_rows_are_read_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = numbers(tmp_path / "a.db", 10)
    monkeypatch.setattr(sqlite, "MAX_ROWS", 4)
    notes: list[str] = []
    assert read_numbers(path, notes) == [0, 1, 2, 3]
    assert notes == ["More than 4 rows: the first ones were read."]


def test_rows_that_are_only_in_the_write_ahead_log_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (a)")
        writer.execute("INSERT INTO t VALUES (7)")
        writer.commit()
        assert read_numbers(path) == [7]


def test_a_lone_file_in_write_ahead_mode_is_read_and_nothing_is_made_beside_it(
    tmp_path: Path,
) -> None:
    path = numbers(tmp_path / "a.db", 3)
    run_script(path, "PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    assert read_numbers(path) == [0, 1, 2]
    assert os.listdir(tmp_path) == ["a.db"]  # noqa: PTH208 - the names alone
    assert path.read_bytes() == before


def test_a_database_that_is_being_written_is_named_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = numbers(tmp_path / "a.db", 3)
    monkeypatch.setattr(sqlite, "PATIENCE", 0.0)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        error = refusal(path)
    assert "another program is writing" in error.message
    assert "Try again" in error.hint


def test_the_rows_before_the_damage_are_kept(tmp_path: Path) -> None:
    path = numbers(tmp_path / "a.db", 5000)
    whole = bytearray(path.read_bytes())
    half = len(whole) // 2 // 4096 * 4096
    whole[half : half + 4096] = b"\xff" * 4096
    path.write_bytes(whole)
    notes: list[str] = []
    found = read_numbers(path, notes)
    assert found == list(range(len(found)))
    assert 1000 < len(found) < 5000
    assert notes == [f"The database is damaged: only its first {len(found)} rows could be read."]


@pytest.mark.parametrize("size", [16, 99, 100, 600, 4096, 5000])
def test_a_file_that_breaks_off_early_is_called_damaged(tmp_path: Path, size: int) -> None:
    path = numbers(tmp_path / "a.db", 5000)
    path.write_bytes(path.read_bytes()[:size])
    error = refusal(path)
    assert error.code in ("FT404", "FT405")
    assert "SQLite database" in error.message


def test_a_transaction_that_was_cut_off_is_left_to_its_writer(tmp_path: Path) -> None:
    path = numbers(tmp_path / "a.db", 5000)
    copy = tmp_path / "b.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("UPDATE t SET a = a + 1")
        shutil.copy(path, copy)
        shutil.copy(f"{path}-journal", f"{copy}-journal")
    error = refusal(copy)
    assert "cannot be opened without writing" in error.message
    assert "tool that wrote it" in error.hint


@pytest.mark.parametrize(
    ("mode", "ending"), [("DELETE", "journal"), ("WAL", "wal"), ("WAL", "shm")]
)
def test_a_pipe_beside_the_file_is_not_waited_for(tmp_path: Path, mode: str, ending: str) -> None:
    path = numbers(tmp_path / "a.db", 3)
    run_script(path, f"PRAGMA journal_mode = {mode}")
    if ending == "shm":
        Path(f"{path}-wal").write_bytes(b"")
    os.mkfifo(f"{path}-{ending}")
    assert read_numbers(path) == [0, 1, 2]


def test_a_link_is_followed_to_its_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "there" / "a.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (a)")
        writer.execute("INSERT INTO t VALUES (7)")
        writer.commit()
        (tmp_path / "link.db").symlink_to(path)
        assert read_numbers(tmp_path / "link.db") == [7]


def test_a_thousand_tables_are_looked_at_up_to_a_limit(tmp_path: Path) -> None:
    path = run_script(
        tmp_path / "a.db",
        f"BEGIN; {''.join(f'CREATE TABLE t{i} (a);' for i in range(1000))} COMMIT",
    )
    assert len(sqlite.tables(Source(path))) == sqlite.MAX_TABLES


def test_names_of_tables_reach_the_terminal_without_their_control_characters(
    tmp_path: Path,
) -> None:
    path = run_script(tmp_path / "a.db", 'CREATE TABLE "\x1b[31mred" (a)')
    assert "(red)" in refusal(path).message


def test_the_reader_of_unknown_databases_keeps_the_promises_of_a_reader(tmp_path: Path) -> None:
    bad = [numbers(tmp_path / "a.db", 3), tmp_path / "b.db"]
    bad[1].write_bytes(b"SQLite format 3\x00" + bytes(500))
    with pytest.raises(AssertionError, match="refused, though it is a good file"):
        check_reader(unknown_sqlite.READER, bad[:1])
    assert all(unknown_sqlite.READER.sniff(Source(path)) == 0.4 for path in bad)


def test_an_mlflow_store_is_no_business_of_this_reader(tmp_path: Path) -> None:
    path = mlflow_database(tmp_path / "a.db", {"run": [("loss", 1, 2.0)]})
    assert "none with the runs of a known tracker" in refusal(path).message
