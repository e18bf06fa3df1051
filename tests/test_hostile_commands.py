"""Whatever stands in a log, in a history, in a plugin or on the command line, no command obeys it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from harmless import OBEYED, strict
from hostile_strings import OVERLONG, STRINGS, spoiled_run
from made_histories import kept_in
from made_runs import make_run

import ftadvise
from ftadvise import history, plugins
from ftadvise.cli import main
from ftadvise.history.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("at_root")

LOSSES = [2.1, 1.6, 1.3, 1.25, 1.31, 1.4]
SHORT = [one for one in STRINGS if one != OVERLONG]
# What a system hands on as an argument: no NUL, and of bytes that are no UTF-8 these surrogates.
TYPED = [*(one for one in STRINGS if "\0" not in one and "\ud800" not in one), "\udcff\udc9b31m"]


def ran(*args: str) -> Result:
    """Run a command, and see to it that neither stream holds anything that a terminal obeys."""
    result = CliRunner().invoke(main, list(args))
    assert result.exit_code in (0, 1, 2), args
    assert not OBEYED.search(result.stdout), args
    assert not OBEYED.search(result.stderr), args
    assert "Traceback" not in result.stderr
    assert "FT999" not in result.stderr
    return result


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a log of one run whose folder, series, settings and notes have hostile names."""
    folder = tmp_path_factory.mktemp("logs") / "dir\x1b[2J\n<b>|x%0A::error"
    folder.mkdir()
    spare = {f"{name}_loss": 1.0 for name in SHORT} | dict.fromkeys(SHORT, float("nan"))
    rows = [
        {"epoch": i, "step": 10 * i, "loss": 0.9 * loss, "eval_loss": loss, **spare}
        for i, loss in enumerate(LOSSES, 1)
    ]
    config = {name: name for name in SHORT} | {"model_name_or_path": SHORT[0]}
    config |= {"lr_scheduler_type": SHORT[26], "metric_for_best_model": SHORT[24]}
    path = folder / "log\u202e\x9b.json"
    path.write_text(json.dumps({"config": config, "model": SHORT[1], "log_history": rows}))
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a log that holds a run of each hostile name."""
    rows = [{"step": 10 * i, "loss": loss} for i, loss in enumerate(LOSSES, 1)]
    path = tmp_path_factory.mktemp("runs") / "runs.json"
    path.write_text(json.dumps({name: {"history": rows} for name in SHORT}))
    return path


@pytest.mark.parametrize(
    "args",
    [
        ["analyze"],
        ["analyze", "--ascii", "--width", "40"],
        ["analyze", "--format", "json"],
        ["analyze", "--format", "markdown"],
        ["analyze", "--format", "github"],
        ["analyze", "--format", "sarif"],
        ["analyze", "--format", "junit"],
        ["analyze", "--key", "none"],
        ["forecast", "--at", "9"],
        ["forecast", "--at", "9", "--format", "json"],
        ["replay"],
        ["replay", "--format", "json"],
        ["watch", "--once"],
        ["watch", "--once", "--format", "jsonl"],
        ["export", "--to", "hf"],
        ["export", "--to", "axolotl"],
    ],
    ids=" ".join,
)
def test_no_command_obeys_a_log(log: Path, args: list[str]) -> None:
    result = ran(args[0], str(log), *args[1:])
    assert result.exit_code == 0
    assert result.stdout
    if "json" in args or "sarif" in args:
        strict(result.stdout)


@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
def test_no_list_of_runs_obeys_their_names(runs: Path, form: str) -> None:
    result = ran("analyze", str(runs), "--list", "--format", form)
    assert result.exit_code == 0
    if form != "text":
        assert len(strict(result.stdout)["runs"]) > 40


@pytest.mark.parametrize(
    "before",
    [
        [],
        ["analyze"],
        ["analyze", "--format", "jsonl"],
        ["forecast", "--at", "1"],
        ["rule"],
        ["export", "--to", "hf"],
        ["watch", "--once"],
        ["history", "add"],
        ["history", "show"],
        ["analyze", "examples/chat", "--run"],
        ["analyze", "examples/chat", "--key"],
        ["analyze", "examples/chat", "--format"],
        ["analyze", "examples/chat", "--select"],
        ["analyze", "examples/chat", "--write-config"],
        ["replay", "examples/chat", "--policy"],
    ],
    ids=" ".join,
)
def test_no_command_obeys_what_the_caller_typed(before: list[str]) -> None:
    apart = len(TYPED) if "watch" in before else 1 if before in ([], ["analyze"]) else 6
    for said in TYPED[::apart]:  # the watch waits for each
        result = ran(*before, said)
        assert result.exit_code == 2, said
        if "jsonl" in before:
            strict(result.stdout)


def test_a_log_that_cannot_be_written_to_is_named_harmlessly(log: Path) -> None:
    result = ran("analyze", str(log), "-o", str(log / "x"))
    assert result.exit_code == 2


@pytest.fixture
def told(at_root: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a plugin installed, and one that failed, in which everything has a hostile name."""
    from ftadvise.stopping import StopPolicy

    class Module:
        @ftadvise.hookimpl
        def register_stop_policies(self) -> list[StopPolicy]:
            return [StopPolicy(said, said, lambda *_: None) for said in STRINGS]

    with plugins.only(**{STRINGS[0]: Module()}) as made:
        for said in STRINGS[1:]:
            made.plugins[said] = plugins.Plugin(
                said, said, (said,), said, distribution=said, notes=(said,)
            )
        monkeypatch.setattr(plugins, "registry", lambda: made)
        yield


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_list_of_plugins_obeys_them(form: str) -> None:
    result = ran("plugins", *([] if form == "text" else ["--format", form]))
    assert result.exit_code == 0
    if form == "json":
        strict(result.stdout)


@pytest.mark.usefixtures("told")
def test_no_hint_obeys_the_name_of_a_plugin() -> None:
    assert ran("replay", "examples/chat", "--policy", "unknown").exit_code == 2


def test_no_list_of_the_history_obeys_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_in(tmp_path, monkeypatch)
    for number, said in enumerate(STRINGS[::3]):
        run = spoiled_run(make_run(scale=1.0 + 0.1 * number), said)
        facts = Facts(model=said, family=said, data=said, method=said, schedule=said, stopped=said)
        history.add(run, facts)
    strict(ran("history", "list", "--format", "json").stdout)
    assert len(ran("history", "list").stdout.splitlines()) >= len(STRINGS) // 3
    for own in (1, 7, 9, 14):
        assert ran("history", "show", str(own)).exit_code == 0
        strict(ran("history", "show", str(own), "--format", "json").stdout)


@pytest.mark.parametrize("number", [11, 15, 21, 36, 40])
def test_a_yaml_is_changed_or_refused_harmlessly(number: int, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path = tmp_path / "dir\x1b[2J" / "train\n\u202eing.yaml"
    path.parent.mkdir()
    said = STRINGS[number].replace("\ud800", "").replace("\udfff", "")
    before = {"model": said, "training": {"num_train_epochs": 1, said: said}}
    path.write_text(yaml.safe_dump(before), encoding="utf-8")
    for more in (["--diff"], []):
        args = ["analyze", "examples/chat", "--write-config", str(path), "--to", "ftadvise", *more]
        done = ran(*args).exit_code
    after = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert after["model"] == said
    assert after["training"][said] == said
    assert (after == before) == (done == 2)
