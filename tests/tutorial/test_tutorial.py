"""The tutorial, followed to the letter: in a folder and an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_blocks import ROOT, Step, bash, blocks_of, differs, steps_of

PAGE = ROOT / "docs" / "tutorial.md"
SHELL = ("console", "bash")
BETWEEN = "---- command {} of the tutorial: {} ----"


def steps() -> list[Step]:
    blocks = [block for block in blocks_of(PAGE) if block.language in SHELL]
    return [step for block in blocks if not block.aside for step in steps_of(block)]


def clean_copy(folder: Path) -> Path:
    """Return a copy of what is in version control, or would be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone: git cannot tell which files belong to the project")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def clean_environment(home: Path) -> dict[str, str]:
    """Return what a newcomer's shell has: no settings of ours, no environment of these tests.

    One thread is for us: several on a busy machine make torch a hundred times slower.
    """
    kept = {"LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
    proxies = {f"{kind}_proxy" for kind in ("http", "https", "all", "no")}
    found = {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.lower() in proxies or name.startswith("PIP_")
    }
    own = str(Path(sys.prefix) / "bin")
    path = [part for part in os.environ["PATH"].split(os.pathsep) if part != own]
    base = str(Path(sys.base_prefix) / "bin")  # a python3 that may make environments
    own_settings = {"LC_ALL": "C.UTF-8", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return found | own_settings | {"PATH": os.pathsep.join([base, *path]), "HOME": str(home)}


def script(given: list[Step]) -> str:
    """Return one shell script, so that what a command leaves (a folder, PATH) is there for the next.

    A line between them says how the one before ended; the first that fails ends it all.
    """
    lines: list[str] = []
    for number, step in enumerate(given):
        between = BETWEEN.format(number, "$ended")
        lines += [step.command.rstrip("\n"), "ended=$?", f'printf "\\n%s\\n" "{between}"']
        lines += ['[ "$ended" = 0 ] || exit "$ended"']
    return "\n".join(lines)


def index_is_there(folder: Path) -> bool:
    """Say whether pip gets a small package."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    return not subprocess.run([*command, "pluggy"], capture_output=True, check=False).returncode


@pytest.mark.system
def test_following_the_tutorial_gives_what_it_shows(tmp_path: Path) -> None:
    if not index_is_there(tmp_path / "index"):
        pytest.skip("no package index: nothing can be installed")
    given = steps()
    home = tmp_path / "home"
    home.mkdir()
    folder = tmp_path / "ftadvise"
    folder.mkdir()
    environment = clean_environment(home)
    done = bash("-c", script(given), folder=clean_copy(folder), environment=environment)
    left, wrong = done.stdout, list[str]()
    for number, step in enumerate(given):
        printed, ended, left = left.partition("\n" + BETWEEN.format(number, "0") + "\n")
        if not ended:
            wrong.append(f"this failed:\n{step.command}\n{printed[-4000:]}")
            break
        if difference := differs(step.shown, printed):
            wrong.append(f"{step.command}\n{difference}")
    assert not wrong, "\n\n".join(wrong)
    assert not list(home.rglob("*.sqlite3")), "it left something in the user's own history"


def test_the_tutorial_has_commands_with_shown_output() -> None:
    given = steps()
    assert len(given) > 10
    assert sum(bool(step.shown.strip()) for step in given) > 8
    assert given[0].command.startswith("python3 -m venv")
