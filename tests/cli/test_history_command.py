from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ftadvise.cli import main

QWEN = "examples/qwen/training_metrics.json"
CHAT = "examples/chat/trainer_state.json"


@pytest.fixture(autouse=True)
def place(at_root: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    where = tmp_path / "history.sqlite3"
    monkeypatch.setenv("FTADVISE_HISTORY", str(where))
    return where


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, ["history", *args])


def told(*args: str) -> Any:
    result = ft(*args, "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["schema"] == "ftadvise.history/1"
    return found


def test_without_a_command_it_says_which_there_are() -> None:
    result = ft()
    assert result.exit_code == 0
    for name in ("add", "list", "show", "forget", "path"):
        assert f"\n  {name} " in result.stdout


def test_an_empty_history_says_how_to_begin() -> None:
    assert "ftadvise history add LOG" in ft("list").stdout


def test_runs_are_added_listed_shown_and_forgotten() -> None:
    assert ft("add", CHAT, QWEN).stdout == f"run 1: {CHAT}\nrun 2: {QWEN}\n"
    heads, *rows = ft("list").stdout.splitlines()
    assert heads.split()[:3] == ["id", "added", "model"]
    assert [row.split()[0] for row in rows] == ["2", "1"]
    assert "\nEval loss  1.008 at epoch 2\n" in ft("show", "1").stdout
    assert ft("forget", "1").stdout == "run 1 is forgotten\n"
    assert [run["id"] for run in told("list")["runs"]] == [2]


def test_a_log_that_cannot_be_read_sinks_none_of_the_others() -> None:
    result = ft("add", "nowhere.json", CHAT)
    assert result.exit_code == 2
    assert result.stdout == f"run 1: {CHAT}\n"
    assert "[FT401]" in result.stderr


def test_json_says_the_same_as_the_text() -> None:
    assert told("add", CHAT)["runs"] == [{"id": 1, "path": CHAT, "run": ""}]
    run = told("show", "1")["run"]
    assert run["best_eval_loss"] == 1.0077
    assert run["source"]["path"] == str(Path(CHAT).absolute())
    assert run["outcome"] is None
    assert told("forget", "1") == {"schema": "ftadvise.history/1", "forgotten": 1}


def test_show_says_how_good_the_advice_was(tmp_path: Path) -> None:
    advice = tmp_path / "advice.json"
    advice.write_text(
        CliRunner().invoke(main, ["analyze", CHAT, "--format", "json"]).stdout, encoding="utf-8"
    )
    foretold = json.loads(advice.read_text())["recommendation"]
    assert ft("add", CHAT, "--advice", str(advice)).exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in ft("show", "1").stdout.splitlines())
    epochs = foretold["num_train_epochs"]
    assert lines["Advised"] == f"{epochs} advised, 4 trained, best at 2"
    assert lines["Advice"].startswith("predicted ")
    assert ", reached 1.008, " in lines["Advice"]
    found = told("show", "1")["run"]["outcome"]
    assert found["predicted"] == foretold["expected_eval_loss"]
    assert found["reached"] == 1.0077
    assert "Advice so far: 1 run, " in ft("list").stdout


@pytest.mark.parametrize("name", [QWEN, "README.md", "nowhere.json"])
def test_advice_that_foretells_no_eval_loss_is_refused(name: str, place: Path) -> None:
    result = ft("add", CHAT, "--advice", name)
    assert result.exit_code == 2
    assert "error: " in result.stderr
    assert not place.exists()


@pytest.mark.parametrize(
    "args",
    [
        ["add"],
        ["add", CHAT, "--run", "a", "--all"],
        ["add", CHAT, QWEN, "--advice", "x.json"],
        ["show", "x"],
        ["list", "--limit", "0"],
        ["nope"],
    ],
)
def test_bad_usage_exits_with_2_and_a_hint(args: list[str]) -> None:
    result = ft(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "\nhint: " in result.stderr


@pytest.mark.parametrize("args", [["show", "7"], ["forget", "7"]])
def test_an_unknown_id_is_answered_with_where_the_ids_are(args: list[str]) -> None:
    result = ft(*args)
    assert result.exit_code == 2
    assert "hint: `ftadvise history list` shows the ids." in result.stderr


def test_path_says_where_it_lies_also_where_there_is_none_yet(place: Path) -> None:
    assert ft("path").stdout == f"{place}\n"
    assert told("path")["path"] == str(place)
    assert not place.exists()


def test_a_file_of_something_else_is_refused(place: Path) -> None:
    place.write_text("my diary, page 1\n" * 100)
    for args in (["list"], ["add", CHAT]):
        result = ft(*args)
        assert result.exit_code == 2
        assert "[FT421]" in result.stderr
    assert place.read_text().startswith("my diary")


def test_the_help_of_ftadvise_loads_neither_numpy_nor_sqlite(shell: Any) -> None:
    program = (
        "import sys; sys.argv = ['ftadvise', '--help']\n"
        "from ftadvise.cli import main\n"
        "try: main()\n"
        "except SystemExit: print({'numpy', 'sqlite3'} & set(sys.modules))"
    )
    done = shell("-c", program)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "\n  history " in done.stdout


def state(folder: Path, loss: float) -> None:
    folder.mkdir(parents=True)
    rows = [{"step": s, "epoch": s / 10, "loss": loss / s} for s in range(1, 40)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": rows}))


def test_the_runs_of_a_folder_are_added_each_with_its_own_facts(tmp_path: Path) -> None:
    for loss, name in enumerate(("a", "b"), 1):
        state(tmp_path / "out" / name, float(loss))
        config = {"_name_or_path": f"org/{name}-7B", "model_type": "llama"}
        (tmp_path / "out" / name / "config.json").write_text(json.dumps(config))
    result = ft("add", str(tmp_path / "out"), "--all")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.rpartition("/out/")[2] for line in result.stdout.splitlines()] == [
        "a/trainer_state.json (a)",
        "b/trainer_state.json (b)",
    ]
    models = [run["facts"]["model"] for run in told("list")["runs"]]
    assert sorted(models) == ["org/a-7B", "org/b-7B"]
    assert ft("add", str(tmp_path / "out")).stderr.startswith("note: took 'b' of the 2 runs in ")


def test_a_run_of_a_folder_that_cannot_be_read_is_said_and_the_others_are_added(
    tmp_path: Path,
) -> None:
    state(tmp_path / "out" / "a", 1.0)
    state(tmp_path / "out" / "b", 2.0)
    (tmp_path / "out" / "b" / "trainer_state.json").write_text("")
    result = ft("add", str(tmp_path / "out"), "--all")
    assert result.exit_code == 2
    assert "[FT402]" in result.stderr
    assert len(told("list")["runs"]) == 1
