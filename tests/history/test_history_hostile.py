"""A history that somebody else made: read as far as it is one, never obeyed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_histories import kept_in
from made_runs import make_run

from ftadvise import history
from ftadvise.cli import main
from ftadvise.history import HistoryError
from ftadvise.history.points import from_text
from ftadvise.history.rest import run_from

COMPUTED = (
    "id INTEGER PRIMARY KEY, content, start, eval, rates, rest, "
    "train AS (printf('%.*c', 900000000, 'x'))"
)
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_in(tmp_path, monkeypatch)


def spoil(place: Path, *statements: str) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def look_everywhere() -> list[HistoryError]:
    """Do all that can be done with a history; return the errors of ours, raise any other."""
    calls: list[Callable[[], object]] = [
        history.runs,
        lambda: history.entry(1),
        lambda: history.load(1),
        lambda: history.comparable(make_run(scale=1.1)),
        lambda: history.add(make_run()),
        lambda: history.add(make_run(scale=4.0)),
        lambda: history.forget(1),
    ]
    found: list[HistoryError] = []
    for call in calls:
        try:
            call()
        except HistoryError as error:
            found.append(error)
    return found


@pytest.fixture
def foreign(place: Path) -> Path:
    history.add(make_run(), history.Facts(model="m", data="d"))
    return place


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET eval = 7, model = 8, data = x'ff00', best_eval_loss = 'low'",
        "UPDATE runs SET train = ''",
        "UPDATE runs SET rest = '[]'",
        "UPDATE runs SET rest = '{\"keys\": 5}'",
        'UPDATE runs SET rest = \'{"settings": {"eval_steps": "soon"}}\'',
        f"UPDATE runs SET eval = '{DEEP}', rest = '{DEEP}'",
        "UPDATE runs SET eval = '[[1,2,\"3\"]]'",
        "UPDATE runs SET eval = '[[1,2]]'",
        "UPDATE runs SET eval = '[[1,2,{}]]'",
        f"UPDATE runs SET eval = '[[1,2,{'9' * 5000}]]'",
        "UPDATE runs SET model = CAST(x'fffefd' AS TEXT), path = char(0, 27, 155, 8238)",
        "UPDATE runs SET model = zeroblob(50000000)",
        "UPDATE runs SET parameters = 9e300, examples = 'many', learning_rate = 9e999",
        "UPDATE runs SET predicted_loss = 9e999, advised_epochs = 'x'",
        "UPDATE runs SET content = zeroblob(9), start = 5",
    ],
)
def test_values_of_any_kind_end_in_nothing_known_or_in_an_error(
    foreign: Path, statement: str
) -> None:
    spoil(foreign, statement)
    history.runs()
    look_everywhere()
    for args in (["list"], ["list", "--format", "json"], ["show", "1"]):
        assert CliRunner().invoke(main, ["history", *args]).exit_code in (0, 2)


def test_text_is_shown_without_what_moves_a_cursor(foreign: Path) -> None:
    evil = "'x' || char(27) || '[2J' || char(155) || char(8238) || char(10) || 'y'"
    spoil(
        foreign, f"UPDATE runs SET model = {evil}, path = {evil}, stopped = {evil}, data = {evil}"
    )
    for args in (["list"], ["show", "1"], ["list", "--format", "json"]):
        text = CliRunner().invoke(main, ["history", *args]).stdout
        assert not {"\x1b", "\x9b", "\u202e"} & set(text)
        assert "y" in text


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE runs RENAME TO kept", "CREATE VIEW runs AS SELECT * FROM kept"],
        ["DROP TABLE runs", "CREATE VIRTUAL TABLE runs USING fts4(a)"],
        ["DROP TABLE runs"],
        ["DROP TABLE runs", "CREATE TABLE runs (id INTEGER PRIMARY KEY, content)"],
        [
            "DROP TABLE runs",
            f"CREATE TABLE runs ({COMPUTED})",
        ],
    ],
    ids=["view", "virtual table", "no table", "other columns", "computed column"],
)
def test_anything_but_a_plain_table_is_refused(foreign: Path, statements: list[str]) -> None:
    spoil(foreign, *statements)
    errors = look_everywhere()
    assert len(errors) == 7
    assert {error.code for error in errors} == {"FT422"}


@pytest.mark.parametrize("when", ["INSERT", "UPDATE", "DELETE"])
def test_a_trigger_is_never_set_off(foreign: Path, when: str) -> None:
    spoil(
        foreign,
        "CREATE TABLE hits (hit)",
        f"CREATE TRIGGER t AFTER {when} ON runs BEGIN INSERT INTO hits VALUES (1); END",
    )
    assert len(history.runs()) == 1, "reading sets nothing off"
    errors = look_everywhere()
    assert len(errors) == 3, "but writing would"
    assert {error.code for error in errors} == {"FT422"}
    with closing(sqlite3.connect(foreign)) as db:
        assert db.execute("SELECT count(*) FROM hits").fetchone() == (0,)


def test_a_row_larger_than_all_bounds_is_not_read(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftadvise.history import file

    monkeypatch.setattr(file, "LARGEST_VALUE", 100_000)
    spoil(foreign, "UPDATE runs SET eval = zeroblob(200000)")
    with pytest.raises(HistoryError) as caught:
        history.load(1)
    assert caught.value.code == "FT427"
    assert len(history.runs()) == 1
    assert history.comparable(make_run(scale=3.0)) == ()


@pytest.mark.parametrize(
    "text",
    [
        *(None, 5, b"[]", "", "7", "{}", '["a"]', "[1,2,3]", "[[1,2]]", "[[1,2,3],[]]"),
        *("[[1,2,[3]]]", "[[NaN,1,2]]", "[[true,1,2]]", f"[[1,1,{'1' * 400}]]"),
        *(DEEP, "[" * 2_000_000),
    ],
)
def test_points_that_are_none_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"point|JSON|Expecting|Extra|Exceeds|digits"):
        from_text(text)


@pytest.mark.parametrize(
    "text", [None, "", "7", DEEP, '{"notes": [1]}', '{"nonfinite": {"a": "b"}}']
)
def test_a_description_that_is_none_is_refused(text: object) -> None:
    empty = from_text("[]")
    with pytest.raises(ValueError, match=r"."):
        run_from(text, {"train": empty, "eval": empty, "rates": empty})
