"""The lowest versions of the dependencies that pyproject.toml allows are versions that work."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TRIED = (
    "tests/cli/test_analyze.py",
    "tests/cli/test_check.py",
    "tests/cli/test_completion.py",
    "tests/cli/test_env.py",
    "tests/cli/test_main.py",
    "tests/cli/test_terminal.py",
    "tests/plugins",
    "tests/readers/test_read_csv.py",
    "tests/readers/test_read_hf_console.py",
    "tests/readers/test_read_json_history.py",
    "tests/reports",
    "tests/rules",
    "tests/stopping",
    "tests/test_public_api.py",
)
TOOLS = ("pytest>=8.4", "hatchling>=1.27", "hypothesis>=6.150", "jsonschema>=4.23", "pyyaml>=6.0")

pytestmark = pytest.mark.system


def lowest() -> list[str]:
    """Return the dependencies of the core, each at its lowest version."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needs: list[str] = tomllib.loads(text)["project"]["dependencies"]
    assert all(re.fullmatch(r"\w+>=[\d.]+", one) for one in needs), needs
    return [one.replace(">=", "==") for one in needs]


def test_the_advisor_works_with_the_lowest_versions_it_allows(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    got = subprocess.run(
        [*pip, *lowest(), *TOOLS, "-e", str(ROOT)],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    if "No matching distribution" in got.stderr:
        pytest.skip(f"the package index has not all of {lowest()} for this Python")
    assert got.returncode == 0, got.stderr
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TRIED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
