"""`ftadvise plugins new` writes a package that works, and nothing where something lies already."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftadvise import plugins
from ftadvise.authoring import KINDS, new_plugin
from ftadvise.authoring.names import names_for
from ftadvise.errors import PluginError, UsageError
from ftadvise.hookspecs import hookimpl
from ftadvise.rules.case import Rule
from ftadvise.testing.importing import modules_at
from ftadvise.testing.whole_plugins import check_plugin

ROOT = Path(__file__).resolve().parents[2]
BESIDE = str(Path(sys.executable).parent)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Have the modules that were made here loaded in no other test."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("ftadvise_made", "ftadvise_lossbook", "ftadvise_tinyfamily")):
            del sys.modules[name]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_keeps_its_promises_from_the_first_minute(kind: str, tmp_path: Path) -> None:
    made = new_plugin(f"made-{kind}", kind, tmp_path)
    ((name, module),) = modules_at(made.folder).items()
    outcomes = check_plugin(module, name)
    assert name == f"made-{kind}"
    assert [one.kind for one in outcomes] == ["plugin", kind]
    assert not any(one.problem or one.note for one in outcomes)


def test_a_working_copy_is_checked_and_not_the_release_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "installed", tmp_path / "copy"]
    for folder in folders:
        folder.mkdir()
        (folder / "ftadvise_made_twice.py").write_text(f"WHERE = {folder.name!r}\n")
    monkeypatch.syspath_prepend(str(folders[0]))
    installed = importlib.import_module("ftadvise_made_twice")
    plugins.registry().manager.register(installed, "twice")
    try:
        (module,) = modules_at(folders[1] / "ftadvise_made_twice.py").values()
    finally:
        plugins.registry().manager.unregister(installed)
    assert vars(module)["WHERE"] == "copy"


def test_a_module_called_like_one_in_use_is_refused_and_not_mistaken_for_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "json.py").write_text("")
    with pytest.raises(PluginError, match="another module called json is in use"):
        modules_at(tmp_path / "json.py")


@pytest.mark.parametrize("kind", ["lossbook", "tinyfamily"])
def test_the_examples_have_the_shape_of_a_new_plugin_and_keep_their_promises(kind: str) -> None:
    example = ROOT / "examples" / f"ftadvise-{kind}"
    files = {f"ftadvise_{kind}.py", "pyproject.toml", f"tests/test_{kind}.py"}
    assert all((example / file).is_file() for file in files)
    ((name, module),) = modules_at(example).items()
    assert not any(one.problem or one.note for one in check_plugin(module, name))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_three_files_that_belong_together(kind: str, tmp_path: Path) -> None:
    made = new_plugin("made-up-thing", kind, tmp_path)
    assert made.files == (
        "pyproject.toml",
        "ftadvise_made_up_thing.py",
        "tests/test_made_up_thing.py",
    )
    there = {str(p.relative_to(made.folder)) for p in made.folder.rglob("*") if p.is_file()}
    assert there == set(made.files)
    assert os.listdir(tmp_path) == ["ftadvise-made-up-thing"]  # noqa: PTH208
    project = tomllib.loads((made.folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "ftadvise-made-up-thing"
    assert project["project"]["entry-points"]["ftadvise"] == {
        "made-up-thing": "ftadvise_made_up_thing"
    }
    text = "".join((made.folder / file).read_text() for file in made.files)
    assert "$" not in text


@pytest.mark.skipif(shutil.which("ruff", path=BESIDE) is None, reason="no ruff is installed")
@pytest.mark.parametrize("name", ["made-short", "made-of-a-name-that-has-just-40-letters"])
def test_a_new_plugin_is_in_good_style(name: str, tmp_path: Path) -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    asked = ["--extend-select", ",".join(rules["extend-select"]), "--ignore", "D203,D213,D413"]
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        made = new_plugin(name, kind, tmp_path / kind)
        assert ruff(made.folder, "check", *asked) == (0, "All checks passed!\n")
        if name == "made-short":
            assert ruff(made.folder, "format", "--check", "--line-length", "99")[0] == 0


def ruff(folder: Path, *args: str) -> tuple[int, str]:
    command = [str(Path(BESIDE) / "ruff"), *args, "--isolated", "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Loss_Book", "loss-book"),
        ("ftadvise-made-book", "made-book"),
        ("a.b--c", "a-b-c"),
        (" x\n", "x"),
    ],
)
def test_a_name_is_normalised_as_package_indexes_do(given: str, name: str) -> None:
    assert names_for(given, "reader").name == name


@pytest.mark.parametrize(
    "given",
    ["", "-", "1st", "a b", "../x", "a/b", "x;y", "naïve", "a-", "'", "x" * 41, "trainer", "plugins",
     "ftadvise", "ftadvise-"],
)  # fmt: skip
def test_a_name_that_does_not_work_is_refused_and_nothing_is_written(
    given: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        new_plugin(given, "reader", tmp_path)
    assert caught.value.code == "FT411"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("keras", "policy", "there is a policy called 'keras' already"),
        ("power", "law", "there is a law called 'power' already"),
        ("trainer_state", "reader", None),  # with a hyphen it is another name
        ("overfitting", "rule", "there is a rule called 'overfitting' already"),
    ],
)
def test_a_name_that_is_taken_is_refused(
    name: str, kind: str, said: str | None, tmp_path: Path
) -> None:
    if said is None:
        new_plugin(name, kind, tmp_path)
        return
    with pytest.raises(UsageError, match=said):
        new_plugin(name, kind, tmp_path)


def test_the_name_of_an_installed_plugin_or_module_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ftadvise_made_before.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="a module called ftadvise_made_before is installed"):
        new_plugin("made-before", "law", tmp_path)
    made = plugins.registry()
    found = plugins.Registry(made.manager, {**made.plugins, "mine": plugins.Plugin("mine")})
    monkeypatch.setattr(plugins, "registry", lambda: found)
    with pytest.raises(UsageError, match="a plugin called 'mine' is installed already"):
        new_plugin("mine", "law", tmp_path)


@pytest.mark.parametrize("there", ["file", "folder", "full", "link"])
def test_nothing_is_written_over(there: str, tmp_path: Path) -> None:
    target = tmp_path / "ftadvise-made"
    if there == "file":
        target.write_text("mine")
    elif there == "link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.mkdir()
    if there == "full":
        (target / "pyproject.toml").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="nothing is written over it") as caught:
        new_plugin("made", "reader", tmp_path)
    assert "--into" in caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before


def test_a_package_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(self: Path, text: str, encoding: str | None = None) -> int:
        if self.name.startswith("test_"):
            raise OSError(28, "No space left on device")
        return write(self, text, encoding=encoding)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match="No space left on device"):
        new_plugin("made", "reader", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory") as caught:
        new_plugin("made", "reader", tmp_path / "nowhere")
    assert "--into DIR" in caught.value.hint


def test_the_code_of_a_rule_is_one_that_no_other_has() -> None:
    assert names_for("calm-start", "rule").code == "CALM101"
    assert names_for("x", "rule").code == "XX101"
    assert names_for("ft-thing", "rule").code == "XFTTH101"
    with plugins.only(mine=_HasRule()):
        assert names_for("calm-start", "rule").code == "CALM102"


class _HasRule:
    @hookimpl
    def register_rules(self) -> list[Rule]:
        return [Rule("CALM101", "mine", "Mine.", lambda case: iter(()))]
