from __future__ import annotations

import os

# Many tests train in processes of their own, on machines with few cores; and none may ask a hub.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["FTADVISE_HISTORY"] = "off"  # nobody's own; a test that needs one makes it

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest_plugins = ["browsing"]

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).resolve().parent / "golden"

Golden = Callable[[str, str], None]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what was got into tests/golden instead of comparing with it",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with the file of that name in tests/golden."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), "pytest --update-golden, if it is right"

    return compare


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in the root of the repository, with no environment that changes the output."""
    from ftadvise import plugins

    monkeypatch.chdir(ROOT)
    for name in list(os.environ):
        if name.startswith("FTADVISE_") or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FTADVISE_NO_PLUGINS", "1")
    cached = plugins.registry  # which some tests replace
    cached.cache_clear()
    yield
    cached.cache_clear()


@pytest.fixture
def shell() -> Shell:
    """Run Python in a process of its own, in the root of the repository."""

    def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join([str(ROOT / "advisor"), str(ROOT / "plugins")])
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        return subprocess.run(
            [sys.executable, *args],
            env=kept | {"PYTHONPATH": paths, "PYTHONUTF8": "1"} | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run
