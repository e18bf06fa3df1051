"""What is built: a wheel that works in a clean environment, and a source archive that makes it."""

from __future__ import annotations

import configparser
import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ftadvise

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ftadvise", "ftadvise_plugins", "ftadvise_trainer")
CHAT = ROOT / "examples/chat/trainer_state.json"
CORE = {"click", "jinja2", "numpy", "pluggy"}
NO_INDEX = ("No matching distribution", "Could not find a version", "ConnectionError")

pytestmark = pytest.mark.system


@dataclass(frozen=True)
class Built:
    """What was built of this tree."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Clean:
    """An environment with the wheel and what it needs, and an empty folder to be in."""

    folder: Path
    programs: Path

    def run(
        self, program: str, *args: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment with nothing of this one."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return subprocess.run(
            [str(self.programs / program), *args],
            cwd=self.folder,
            env=kept | {"HOME": str(self.folder), "PYTHONUTF8": "1"} | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    def json(self, *args: str) -> Any:
        """Return what `ftadvise` says in JSON."""
        done = self.run("ftadvise", *args, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def pip(python: Path | str, *args: str) -> None:
    """Install; where there is no package index the test is skipped."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    if any(words in done.stderr for words in NO_INDEX):
        pytest.skip("no package index to install from")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def clean(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    place = tmp_path_factory.mktemp("clean")
    venv.create(place / "env", with_pip=True)
    programs = place / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip(programs / "python", str(built.wheel))
    (place / "empty").mkdir()
    return Clean(place / "empty", programs)


def python(version: str) -> str:
    """Return another interpreter, or skip the test."""
    found = shutil.which(f"python{version}")
    asked = ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    if found is None or _said(found, *asked) != version:
        pytest.skip(f"no Python {version} here")
    return found


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def files_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_three_packages_with_their_types_and_nothing_else(
    built: Built,
) -> None:
    names = set(files_of(built.wheel))
    info = f"ftadvise-{ftadvise.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {*PACKAGES, info}
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert f"{info}/licenses/LICENSE" in names
    assert not [name for name in names if "test_" in name and not name.endswith(".template")]
    assert not [name for name in names if "__pycache__" in name or "/." in name]


def test_all_that_lies_beside_the_code_is_in_the_wheel(built: Built) -> None:
    names = set(files_of(built.wheel))
    for package in ("advisor/ftadvise", "plugins/ftadvise_plugins", "trainer/ftadvise_trainer"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                assert path.relative_to((ROOT / package).parent).as_posix() in names


def test_what_others_wrote_comes_with_its_licence(built: Built) -> None:
    names = set(files_of(built.wheel))
    foreign = {name.rsplit("/", 1)[0] for name in names if ".min." in name}
    assert foreign
    assert {f"{folder}/LICENSE" for folder in foreign} <= names


def test_the_metadata_says_version_licence_and_the_few_things_it_needs(built: Built) -> None:
    files = files_of(built.wheel)
    info = f"ftadvise-{ftadvise.__version__}.dist-info"
    told = email.message_from_bytes(files[f"{info}/METADATA"])
    assert (told["Version"], told["License-Expression"]) == (ftadvise.__version__, "Apache-2.0")
    needs = told.get_all("Requires-Dist") or []
    core = {one.split(">")[0].strip().lower() for one in needs if "extra ==" not in one}
    assert core == CORE
    entries = configparser.ConfigParser()
    entries.read_string(files[f"{info}/entry_points.txt"].decode())
    assert entries["console_scripts"]["ftadvise"] == "ftadvise.cli:main"
    assert "train" in entries["ftadvise"]


def test_the_source_archive_holds_tests_and_docs_and_makes_the_same_wheel(
    built: Built, tmp_path: Path
) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    for name in ("tests/conftest.py", "docs/method.md", "examples/make_logs.py", "LICENSE"):
        assert (source / name).is_file()
    assert not [
        *source.rglob("__pycache__"),
        *source.rglob(".venv"),
        *source.rglob("*.safetensors"),
    ]
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(tmp_path / "w"),
    ]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "w").iterdir()
    assert files_of(wheel) == files_of(built.wheel)


def test_pip_installs_the_source_archive(built: Built, tmp_path: Path) -> None:
    pip(sys.executable, "--no-deps", "--target", str(tmp_path / "here"), str(built.sdist))
    done = subprocess.run(
        [sys.executable, "-m", "ftadvise", "--version"],
        cwd=tmp_path / "here",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "here")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"ftadvise {ftadvise.__version__}\n", done.stderr


def test_in_a_clean_environment_each_light_command_works(clean: Clean) -> None:
    shutil.copy(CHAT, clean.folder / "state.json")
    assert clean.run("ftadvise", "--version").stdout == f"ftadvise {ftadvise.__version__}\n"
    for line in (
        "--help",
        "analyze state.json",
        "analyze state.json --format sarif",
        "analyze state.json -o report.html",
        "forecast state.json --at 5",
        "replay state.json",
        "rule FT201",
        "completion bash",
        "export state.json --to hf",
        "history add state.json",
        "history list",
    ):
        done = clean.run("ftadvise", *line.split())
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (line, done.stderr)
    page = (clean.folder / "report.html").read_text(encoding="utf-8")
    assert "uPlot" in page
    assert "<svg" in page


def test_a_clean_environment_has_the_core_alone_and_no_plugin_is_broken(clean: Clean) -> None:
    told = clean.json("env")
    installed = {name for name, version in told["packages"].items() if version}
    assert installed == CORE
    assert told["plugins"]
    assert [one for one in told["plugins"] if one["error"]] == []
    assert [one for one in clean.json("plugins")["plugins"] if one["error"]] == []


def test_training_without_torch_says_what_to_install(clean: Clean) -> None:
    done = clean.run("ftadvise", "train", str(ROOT / "examples/tiny/training.yaml"))
    assert done.returncode == 2
    assert "ftadvise[train]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_answer_is_the_same_as_from_the_sources(clean: Clean) -> None:
    told = clean.json("analyze", str(CHAT))
    here = ftadvise.advise(ftadvise.read(str(CHAT))).to_dict()
    assert told["recommendation"]["num_train_epochs"] == here["recommendation"]["num_train_epochs"]
    assert told["findings"] == json.loads(json.dumps(here["findings"]))


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_the_wheel_works_with_other_pythons(version: str, built: Built, tmp_path: Path) -> None:
    subprocess.run([python(version), "-m", "venv", str(tmp_path / "env")], check=True)
    programs = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip(programs / "python", str(built.wheel))
    there = Clean(tmp_path, programs)
    told, page = (
        there.json("analyze", str(CHAT)),
        there.run("ftadvise", "analyze", str(CHAT), "-o", "p.html"),
    )
    assert told["recommendation"]["num_train_epochs"] >= 1
    assert (page.returncode, page.stderr) == (0, "")
    assert there.json("env")["python"]["version"].startswith(version)


def test_type_checkers_see_the_types_of_all_three_packages(clean: Clean, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "user.py"
    program.write_text(
        "import ftadvise\nimport ftadvise_plugins.qwen\nimport ftadvise_trainer.commands\n"
        'run = ftadvise.read("x")\nreveal_type(run)\nreveal_type(ftadvise.advise(run))\n'
        "reveal_type(ftadvise_trainer.commands.register_commands)\nftadvise.advise(3)\n"
    )
    python = str(clean.programs / "python")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--python-executable",
            python,
            "--no-incremental",
            "user.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert 'Revealed type is "ftadvise.run.Run"' in lines[0], done.stdout
    assert 'Revealed type is "ftadvise.advice.Advice"' in lines[1]
    assert "def (cli: click.core.Group)" in lines[2]
    assert "user.py:8: error: Argument 1" in lines[3]
    assert lines[4:] == ["Found 1 error in 1 file (checked 1 source file)"]
