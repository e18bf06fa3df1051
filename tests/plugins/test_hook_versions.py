"""Which plugins fit: versions, hooks that go, misspelt ones, and where none is looked for."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ftadvise import hookspecs, plugins
from ftadvise.plugins import Plugin

ROOT = Path(__file__).resolve().parents[2]
HOOK = "import ftadvise\n\n@ftadvise.hookimpl\ndef register_rules():\n    return []\n"

Put = Callable[..., Plugin]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Install a module as a plugin, and return how it is listed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("FTADVISE_NO_PLUGINS", raising=False)
    names: list[str] = []

    def install(code: str, distribution: str = "mine") -> Plugin:
        name = f"made_plugin_{len(names)}"
        names.append(name)
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[ftadvise]\n{distribution} = {name}\n")
        return plugins.third_party().plugins[distribution]

    yield install
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("version", ["", f"FTADVISE_API = {hookspecs.API}\n"])
def test_a_plugin_for_these_hooks_is_in_use(put: Put, version: str) -> None:
    found = put(version + HOOK)
    assert (found.error, found.notes, found.hooks) == ("", (), ("register_rules",))
    assert found.distribution == "mine"
    assert found.load_ms > 0


def test_a_plugin_for_later_hooks_is_set_aside_and_says_what_to_upgrade(put: Put) -> None:
    found = put(f"FTADVISE_API = {hookspecs.API + 1}\n" + HOOK)
    assert "written for version 2 of the hooks, and this ftadvise has version 1" in found.error
    assert found.error.endswith("upgrade ftadvise")
    assert found.hooks == ()


def test_a_plugin_for_hooks_that_are_gone_is_set_aside(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hookspecs, "API", 4)
    monkeypatch.setattr(hookspecs, "OLDEST_API", 3)
    found = put("FTADVISE_API = 2\n" + HOOK)
    assert found.error.endswith("this ftadvise has version 3 to 4: upgrade the plugin")
    assert put("FTADVISE_API = 3\n" + HOOK, "other").error == ""


def test_a_version_that_is_no_number_is_said(put: Put) -> None:
    assert "is '>=1', not a whole number" in put("FTADVISE_API = '>=1'\n" + HOOK).error


def test_an_import_that_ftadvise_does_not_have_asks_for_a_newer_one(put: Put) -> None:
    found = put("from ftadvise.laws import NoSuchThing\n")
    assert "does the plugin need a newer one?" in found.error
    assert "newer" not in put("import no_such_package\n", "other").error


@pytest.mark.parametrize(
    ("code", "note"),
    [
        (
            HOOK.replace("register_rules", "register_reader"),
            "register_reader is no hook, and nothing calls it; did you mean register_readers?",
        ),
        (HOOK.replace("register_rules", "xyz"), "xyz is no hook, and nothing calls it"),
        (
            "def register_rules():\n    return []\n",
            "register_rules is not marked with @ftadvise.hookimpl, and nothing calls it",
        ),
    ],
)
def test_a_function_that_was_meant_as_a_hook_is_named(put: Put, code: str, note: str) -> None:
    found = put(code)
    assert (found.error, found.hooks, found.notes) == ("", (), (note,))


def test_a_hook_of_a_later_ftadvise_may_be_marked_as_optional(put: Put) -> None:
    code = "import ftadvise\n\n@ftadvise.hookimpl(optionalhook=True)\ndef register_later():\n    pass\n"
    assert put(code).notes == ()


def test_a_hook_that_goes_is_noted_and_warned_of_once(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = DeprecationWarning("register_old goes with ftadvise 2: use register_rules")

    def register_old() -> list[object]:
        return []

    spec = hookspecs.hookspec(warn_on_impl=gone)(register_old)
    monkeypatch.setattr(hookspecs, "register_old", spec, raising=False)
    monkeypatch.setattr(plugins, "_warned", set())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = put(HOOK.replace("register_rules", "register_old"))
        plugins.third_party()
        plugins.third_party()
    assert [(one.category, str(one.message)) for one in told] == [(DeprecationWarning, str(gone))]
    assert found.notes == (str(gone),)
    assert (found.error, found.hooks) == ("", ("register_old",))


def test_an_argument_that_goes_is_noted(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    old = DeprecationWarning("register_old: its argument case goes")

    def register_old(case: object) -> list[object]:
        return []

    spec = hookspecs.hookspec(warn_on_impl_args={"case": old})(register_old)
    monkeypatch.setattr(hookspecs, "register_old", spec, raising=False)
    monkeypatch.setattr(plugins, "_warned", set())
    code = HOOK.replace("register_rules()", "register_old(case)")
    with pytest.warns(DeprecationWarning, match="its argument case goes"):
        assert put(code).notes == (str(old),)
    assert put(code.replace("(case)", "()"), "other").notes == ()


def test_where_warnings_are_errors_such_a_plugin_is_set_aside(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    def register_old() -> list[object]:
        return []

    spec = hookspecs.hookspec(warn_on_impl=DeprecationWarning("goes"))(register_old)
    monkeypatch.setattr(hookspecs, "register_old", spec, raising=False)
    monkeypatch.setattr(plugins, "_warned", set())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = put(HOOK.replace("register_rules", "register_old"))
        monkeypatch.setattr(plugins, "_warned", set())
        manager = plugins.third_party().manager
    assert (found.error, found.hooks) == ("DeprecationWarning: goes", ())
    assert not manager.has_plugin("mine")


def test_of_two_plugins_with_one_name_the_second_is_set_aside(put: Put, tmp_path: Path) -> None:
    put(HOOK)
    info = tmp_path / "zweite-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[ftadvise]\nmine = json\n")
    found = plugins.third_party()
    assert found.plugins["mine"].error == ""
    assert "another plugin is called mine, too" in found.plugins["mine of zweite"].error
    assert found.collect("register_rules") == []


def test_only_what_is_named_is_in_use_and_only_in_the_block() -> None:
    mine = ModuleType("mine")
    mine.register_laws = hookspecs.hookimpl(lambda: ["law"])  # type: ignore[attr-defined]
    before = plugins.collect("register_laws")
    with plugins.only(mine=mine) as registry:
        assert plugins.collect("register_laws")[-1] == "law"
        assert plugins.collect("register_model_families") == []
        assert set(registry.plugins) == {*plugins.BUILT_IN, "mine"}
    assert [law.name for law in plugins.collect("register_laws")] == [law.name for law in before]


def test_every_hook_has_its_example_on_the_page_about_plugins() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for hook in plugins.hook_names():
        assert f"@ftadvise.hookimpl\ndef {hook}(" in page


def test_no_plugin_is_taken_from_the_folder_one_is_in(tmp_path: Path) -> None:
    (tmp_path / "lurking.py").write_text("raise SystemExit('loaded')\n")
    info = tmp_path / "lurking-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[ftadvise]\nlurking = lurking\n")
    command = [sys.executable, "-m", "ftadvise", "plugins", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "lurking" not in done.stdout
