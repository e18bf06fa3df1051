"""`ftadvise plugins`: the list, a new one, and what a check says and exits with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ftadvise import plugins
from ftadvise.authoring import KINDS
from ftadvise.cli import main
from ftadvise.cli.plugins import command

FAULTY = """
import ftadvise
from ftadvise.stopping import StopPolicy


@ftadvise.hookimpl
def register_stop_policies():
    return [StopPolicy("sound", "never", lambda run, patience, threshold: None),
            StopPolicy("zero", "before the first", lambda run, patience, threshold: 0)]
"""


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, ["plugins", *args], prog_name="ftadvise")


def told(*args: str) -> Any:
    return json.loads(ft(*args, "--format", "json").stdout)


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Path]:
    """Return where a module of a test may lie; it is loaded in no other test."""
    path = tmp_path / "made_faulty.py"
    yield path
    sys.modules.pop("made_faulty", None)


def test_the_list_is_there_with_and_without_its_name() -> None:
    assert ft().stdout == ft("list").stdout
    assert [p["name"] for p in told()["plugins"]] == [p["name"] for p in told("list")["plugins"]]
    first = told()["plugins"][0]
    assert set(first) == {
        "name", "version", "distribution", "third_party", "hooks", "gives", "error", "notes", "load_ms"
    }  # fmt: skip


def test_the_list_shows_how_long_each_takes_when_that_is_asked() -> None:
    assert " ms)" not in ft().stdout
    first = ft("--times").stdout.splitlines()[0]
    assert first.startswith("ftadvise.")
    assert first.endswith(" ms)")


def test_the_list_shows_what_an_author_should_know(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = plugins.Plugin("noted", "1.0", notes=("register_x is no hook",))
    made = plugins.registry()
    fake = plugins.Registry(made.manager, {"noted": noted})
    monkeypatch.setattr(plugins, "registry", lambda: fake)
    monkeypatch.setattr("ftadvise.cli.plugin_lines.all_gives", lambda registry: {})
    assert "noted 1.0\n  note: register_x is no hook\n" in ft().stdout


def test_a_new_plugin_says_what_it_is_and_what_to_do_next(tmp_path: Path) -> None:
    said = ft("new", "made-here", "--kind", "rule", "--into", str(tmp_path))
    assert said.exit_code == 0
    folder = tmp_path / "ftadvise-made-here"
    assert said.stdout.startswith(f"Wrote {folder}:\n  pyproject.toml ")
    assert "pip install -e . pytest" in said.stdout
    again = ft("new", "made-here", "--kind", "rule", "--into", str(tmp_path))
    assert (again.exit_code, again.stdout) == (2, "")
    assert "[FT411]" in again.stderr
    assert "hint: " in again.stderr


def test_every_kind_can_be_asked_for() -> None:
    (kind,) = (p for p in command.commands["new"].params if p.name == "kind")
    assert isinstance(kind.type, click.Choice)
    assert tuple(kind.type.choices) == tuple(KINDS)


def test_a_new_plugin_is_told_as_json(tmp_path: Path) -> None:
    found = told("new", "Made_Here", "--kind", "law", "--into", str(tmp_path))
    assert found == {
        "schema": "ftadvise.plugins.new/1",
        "name": "made-here",
        "kind": "law",
        "path": str(tmp_path / "ftadvise-made-here"),
        "files": ["pyproject.toml", "ftadvise_made_here.py", "tests/test_made_here.py"],
    }


def test_a_check_names_each_thing_and_exits_with_1_for_a_broken_promise(module: Path) -> None:
    module.write_text(FAULTY)
    said = ft("check", str(module))
    assert said.exit_code == 1
    lines = said.stdout.splitlines()
    assert lines[:4] == [
        "made_faulty",
        "  ok      loads, and its hooks are known",
        "  ok      policy sound",
        "  broken  policy zero stops at 0; with 26 evaluations that is None or 1 to 26",
    ]
    assert lines[-1] == "A promise is broken."


def test_a_check_is_told_as_json(module: Path) -> None:
    module.write_text(FAULTY)
    found = told("check", str(module))
    assert found["schema"] == "ftadvise.plugins.check/1"
    (plugin,) = found["plugins"]
    assert [(one["kind"], one["name"], one["ok"]) for one in plugin["checks"]] == [
        ("plugin", "made_faulty", True),
        ("policy", "sound", True),
        ("policy", "zero", False),
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\n", "it implements no hook"),
        (FAULTY.replace("stop_policies", "stop_policy"), "did you mean register_stop_policies?"),
        ("FTADVISE_API = 99\n" + FAULTY, "upgrade ftadvise"),
        (FAULTY.replace("return [", "return 3; ["), "returned int, not a list"),
        (
            FAULTY.replace("return [", "1 / 0; ["),
            "register_stop_policies raised ZeroDivisionError",
        ),
        (
            FAULTY.replace('"zero"', '"sound"').replace(": 0", ": None"),
            "returned two of this name",
        ),
        (FAULTY.replace("return [", "return ['x', "), "returned 'x', not a StopPolicy"),
    ],
)
def test_what_is_wrong_with_a_whole_plugin_is_said(module: Path, code: str, said: str) -> None:
    module.write_text(code)
    found = ft("check", str(module))
    assert found.exit_code == 1
    assert said in " ".join(found.stdout.split())


@pytest.mark.parametrize("target", ["no-such", "ftadvise.laws", "pyproject.toml"])
def test_what_is_no_plugin_exits_with_2(target: str, tmp_path: Path) -> None:
    found = ft("check", str(tmp_path / target) if target.endswith("toml") else target)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "no plugin is called" in found.stderr


@pytest.mark.parametrize(
    ("project", "said"),
    [
        (None, "No such file"),
        ("[project", "pyproject.toml: "),
        ("[project]\nname = 'x'\n", "names no plugin"),
        ("[project.entry-points.ftadvise]\nx = 'no_such_module_x'\n", "cannot be imported"),
    ],
)
def test_a_folder_without_a_plugin_exits_with_2(
    project: str | None, said: str, tmp_path: Path
) -> None:
    if project is not None:
        (tmp_path / "pyproject.toml").write_text(project)
    found = ft("check", str(tmp_path))
    assert found.exit_code == 2
    assert said in found.stderr


def test_a_plugin_that_cannot_be_loaded_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = plugins.Plugin("broken", error="ImportError: no such module")
    made = plugins.registry()
    fake = plugins.Registry(made.manager, {"broken": broken})
    monkeypatch.setattr(plugins, "registry", lambda: fake)
    found = ft("check")
    assert found.exit_code == 1
    assert "broken  not in use: ImportError: no such module" in found.stdout


READER = """
import ftadvise
from ftadvise.errors import LogError
from ftadvise.readers.series.values import read_value
from ftadvise.readers.source import Reader


def read(source):
    rows = []
    for line in source.lines():
        try:
            epoch, loss = map(float, line.split())
        except ValueError:
            continue
        rows.append({"epoch": epoch, "loss": loss})
    return read_value(source, rows)


def sniff(source):
    return 1.0 if source.head.startswith(b"book") else 0.0


@ftadvise.hookimpl
def register_readers():
    return [Reader("made-book", "books", sniff, read)]
"""


def test_a_reader_is_checked_on_the_logs_that_are_given(module: Path, tmp_path: Path) -> None:
    module.write_text(READER)
    good, stray = tmp_path / "good.txt", tmp_path / "stray.txt"
    good.write_text("book\n1 3.0\n2 2.0\n3 1.5\n")
    stray.write_text("leaflet\n")
    alone = ft("check", str(module))
    assert alone.exit_code == 0
    assert "reader made-book (checked on garbage alone: give it a log with" in alone.stdout
    both = told("check", str(module), "--log", str(good))["plugins"][0]["checks"]
    assert both[-1] == {
        "kind": "reader", "name": "made-book", "ok": True, "problem": "", "note": ""
    }  # fmt: skip
    wrong = ft("check", str(module), "--log", str(stray))
    assert wrong.exit_code == 1
    assert "no reader of the plugin knows this log" in wrong.stdout


def test_a_sample_in_the_module_is_read_as_a_log(module: Path) -> None:
    module.write_text(READER + 'SAMPLE = "book\\n"\n')
    found = ft("check", str(module))
    assert found.exit_code == 1
    assert "refused, though it is a good file" in " ".join(found.stdout.split())
