"""`ftadvise env`: what is installed, told without importing it, and without a secret."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

import ftadvise
from ftadvise import environment, plugins
from ftadvise.cli import main

pytestmark = pytest.mark.usefixtures("at_root")


def told(*options: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["env", "--format", "json", *options])
    assert (result.exit_code, result.stderr) == (0, "")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def text() -> str:
    result = CliRunner().invoke(main, ["env"])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def nvidia_smi(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_versions_are_those_that_are_installed_and_a_missing_package_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "PACKAGES", {"core": ("click", "no-such-package")})
    found = told()
    assert found["schema"] == "ftadvise.env/1"
    assert found["ftadvise"]["version"] == ftadvise.__version__
    assert found["packages"] == {"click": metadata.version("click"), "no-such-package": None}
    lines = dict(line.split(maxsplit=1) for line in text().splitlines())
    assert lines["no-such-package"] == "-"
    assert lines["python"].startswith(".".join(map(str, sys.version_info[:3])))


def test_of_variables_that_are_not_ours_only_the_name_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FTADVISE_DEBUG", "0")
    monkeypatch.setenv("FTADVISE_WIKI_TOKEN", "s3cret")
    monkeypatch.setenv("WANDB_API_KEY", "s3cret")
    assert told()["variables"] == {
        "FTADVISE_DEBUG": "0",
        "FTADVISE_NO_PLUGINS": "1",
        "FTADVISE_WIKI_TOKEN": "(set, value not told)",
    }
    assert "s3cret" not in text()


def test_the_home_folder_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert told()["history"]["path"].startswith("~")
    monkeypatch.setenv("FTADVISE_HISTORY", str(tmp_path / "h.sqlite3"))
    (tmp_path / "h.sqlite3").write_bytes(b"abc")
    assert told()["history"] == {"path": "~/h.sqlite3", "kept": True, "bytes": 3}
    assert str(tmp_path) not in text()


def test_a_history_that_is_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTADVISE_HISTORY", "off")
    assert text().splitlines()[-1].split() == ["history", "off"]


def test_a_broken_plugin_is_named_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    one = plugins.Plugin("good", "1.0")
    other = plugins.Plugin("bad\x1b[2J", error="ImportError: no\nsuch module")
    monkeypatch.setattr(
        plugins, "third_party", lambda: SimpleNamespace(plugins={1: one, 2: other})
    )
    assert "good 1.0; not in use: bad (ImportError: no such module)\n" in text()
    monkeypatch.setattr(plugins, "third_party", lambda: 1 / 0)
    assert told()["plugins"].startswith("ZeroDivisionError")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'GPU A, 550.1, 80 GiB'", ["GPU A, 550.1, 80 GiB"]),
        ("echo 'cannot talk to the driver'; exit 9", "nvidia-smi: cannot talk to the driver"),
        ("exec sleep 9", "nvidia-smi: TimeoutExpired"),
    ],
)
def test_devices_are_those_of_nvidia_smi_which_may_fail_or_hang(
    script: str, said: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nvidia_smi(tmp_path, script, monkeypatch)
    monkeypatch.setattr(environment, "_PATIENCE", 0.3 if "sleep" in script else 5.0)
    driver = told()["devices"]["driver"]
    assert driver == said or (isinstance(said, str) and driver.startswith(said))


def test_without_nvidia_smi_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert told()["devices"]["driver"] == "no nvidia-smi"


def test_torch_is_asked_only_in_full_and_may_fail_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "torch" not in told()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert told("--full")["torch"]["error"].startswith("ModuleNotFoundError: import of torch")
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_name=lambda _: "GPU A",
        is_bf16_supported=lambda: True,
    )
    fake = SimpleNamespace(cuda=cuda, __version__="9.0", version=SimpleNamespace(cuda="13.0"))
    monkeypatch.setitem(sys.modules, "torch", fake)
    assert told("--full")["torch"] == {
        "version": "9.0",
        "cuda": "13.0",
        "hip": None,
        "available": True,
        "bf16": True,
        "devices": ["GPU A"],
    }
