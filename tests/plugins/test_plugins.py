"""Plugins: found, listed, isolated when broken, and blockable."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "ftadvise-lossbook"
BOOK = "# lossbook 1\n1 2.31 2.40\n2 1.72 2.05\n3 1.31 1.96\n4 1.02 1.95\n5 0.80 2.01\n"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example plugin, and broken ones, into a folder of their own."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*pip, "--target", folder, EXAMPLE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    _broken(folder, "cannot_import", "raise RuntimeError('no such device')")
    _broken(folder, "bad_hook", _HOOK + "def register_rules():\n    return 42\n")
    _broken(folder, "bad_reader", _HOOK + _BAD_READER)
    _broken(folder, "exits", "raise SystemExit(0)")
    _broken(folder, "exits_in_hook", _HOOK + "def register_rules():\n    raise SystemExit(0)\n")
    _broken(folder, "bad_law", _HOOK + "def register_laws():\n    return ['no law']\n")
    return folder


_HOOK = "import ftadvise\n\n@ftadvise.hookimpl\n"
_BAD_READER = """def register_readers():
    from ftadvise.readers.source import Reader

    def fail(source):
        raise ZeroDivisionError("oh")

    return [Reader("bad", "always fails", lambda source: 0.9, fail)]
"""


def _broken(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[ftadvise]\n{name} = {name}\n")


def ftadvise(site: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "PYTHONPATH": str(site), **environment}
    command = [sys.executable, "-m", "ftadvise", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=known, cwd=site, check=False
    )


def listed(site: Path, **environment: str) -> dict[str, dict[str, object]]:
    done = ftadvise(site, "plugins", "--format", "json", **environment)
    assert done.returncode == 0, done.stderr
    return {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}


def test_an_installed_plugin_is_listed_with_its_version_and_hooks(site: Path) -> None:
    plugin = listed(site)["lossbook"]
    assert plugin["version"] == "1.0.0"
    assert plugin["hooks"] == ["register_readers"]
    assert plugin["error"] == ""


def test_an_installed_reader_reads_its_format_on_the_command_line(site: Path) -> None:
    (site / "book.txt").write_text(BOOK)
    done = ftadvise(site, "analyze", "book.txt", "--format", "json")
    assert done.returncode == 0, done.stderr
    advice = json.loads(done.stdout)
    assert advice["source"]["format"] == "lossbook"
    assert advice["observed"]["eval_points"] == 5
    assert advice["observed"]["best_epoch"] == 4.0


def test_broken_plugins_are_named_with_their_error_and_stop_nobody(site: Path) -> None:
    plugins = listed(site)
    assert "no such device" in str(plugins["cannot_import"]["error"])
    assert "register_rules" in str(plugins["bad_hook"]["error"])
    assert plugins["exits"]["error"] == "SystemExit: 0"
    assert plugins["exits_in_hook"]["error"] == "register_rules: SystemExit: 0"
    assert plugins["ftadvise.readers"]["error"] == ""


def test_a_reader_that_fails_is_passed_over_for_the_next(site: Path) -> None:
    log = {"train_loss": [3.0, 2.0, 1.5, 1.2], "val_loss": [3.1, 2.4, 2.2, 2.3]}
    (site / "log.json").write_text(json.dumps(log))
    done = ftadvise(site, "analyze", "log.json", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["observed"]["eval_points"] == 4


def test_a_law_that_fails_is_left_out_with_a_warning_and_the_others_answer(site: Path) -> None:
    log = {"train_loss": [3.0, 2.0, 1.5, 1.2], "val_loss": [3.1, 2.4, 2.2, 2.3]}
    (site / "law.json").write_text(json.dumps(log))
    done = ftadvise(site, "analyze", "law.json", "--format", "json")
    assert "the law 'no law' is left out: TypeError: it is no Law" in done.stderr
    with_it = json.loads(done.stdout)
    without = ftadvise(
        site, "analyze", "law.json", "--format", "json", FTADVISE_BLOCK_PLUGINS="bad_law"
    )
    assert with_it == json.loads(without.stdout)


def test_a_blocked_plugin_is_listed_as_blocked_and_not_used(site: Path) -> None:
    plugin = listed(site, FTADVISE_BLOCK_PLUGINS="lossbook")["lossbook"]
    assert "blocked" in str(plugin["error"])
    assert plugin["hooks"] == []


def test_no_third_party_plugin_is_loaded_when_plugins_are_switched_off(site: Path) -> None:
    assert all(name.startswith("ftadvise.") for name in listed(site, FTADVISE_NO_PLUGINS="1"))


def test_the_example_reader_passes_the_conformance_check(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftadvise.testing import check_reader

    monkeypatch.syspath_prepend(str(EXAMPLE))
    lossbook = importlib.import_module("ftadvise_lossbook")

    good = tmp_path / "book.txt"
    good.write_text(BOOK)
    check_reader(lossbook.register_readers()[0], [good])
