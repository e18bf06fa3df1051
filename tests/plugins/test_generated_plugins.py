"""A plugin of every kind: generated, built, installed in a clean environment, used and removed.

One environment for all tests, with the wheel of this repository and what it needs and nothing more.
The last test removes the plugins.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
CHAT = ROOT / "examples" / "chat" / "trainer_state.json"
KINDS = ("reader", "family", "law", "policy", "rule")
NAMES = {kind: f"demo-{kind}" for kind in KINDS}
PIP = ("-m", "pip", "--disable-pip-version-check", "-q")


@dataclass(frozen=True)
class Place:
    """A clean environment and what lies beside it."""

    folder: Path
    before: str
    """What `analyze` said before a plugin was installed."""

    @property
    def python(self) -> str:
        return str(self.folder / "env" / "bin" / "python")

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run the Python of the environment, away from the repository."""
        return run(self.python, *args, folder=self.folder)

    def ftadvise(self, *args: str, code: int = 0) -> str:
        program = str(self.folder / "env" / "bin" / "ftadvise")
        done = run(program, *args, folder=self.folder)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def told(self, *args: str) -> Any:
        return json.loads(self.ftadvise(*args, "--format", "json"))

    def package(self, kind: str) -> Path:
        return self.folder / "packages" / f"ftadvise-demo-{kind}"


def run(*command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FTADVISE_"))}
    known = {**kept, "FTADVISE_HISTORY": "off", **more}
    return subprocess.run(
        command, cwd=folder, env=known, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Make the environment, and install what was generated in it."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds packages, is not installed")
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "env", with_pip=True)
    empty = Place(folder, "")
    build(folder, ROOT)
    (wheel,) = folder.glob("wheels/*.whl")
    constraints = ("-c", str(ROOT / "constraints.txt"))
    done = empty.run(*PIP, "install", *constraints, str(wheel), "pytest")
    if done.returncode:
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    made = Place(folder, empty.ftadvise("analyze", str(CHAT)))
    (folder / "packages").mkdir()
    for kind, name in NAMES.items():
        made.ftadvise("plugins", "new", name, "--kind", kind, "--into", "packages")
    build(folder, *(made.package(kind) for kind in KINDS))
    wheels = map(str, folder.glob("wheels/ftadvise_demo_*.whl"))
    done = made.run(*PIP, "install", "--no-index", *wheels)
    assert done.returncode == 0, done.stderr
    return made


def build(folder: Path, *packages: Path) -> None:
    pip = (sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", "wheels")
    done = run(*pip, *map(str, packages), folder=folder)
    assert done.returncode == 0, done.stderr


def test_the_environment_has_the_core_alone(place: Place) -> None:
    listed = json.loads(place.run("-m", "pip", "list", "--format", "json").stdout)
    installed = {package["name"].lower() for package in listed}
    assert {"ftadvise", "click", "jinja2", "numpy", "pluggy"} <= installed
    assert not {"torch", "transformers", "hypothesis", "scipy"} & installed


def test_all_five_are_listed_with_what_they_add(place: Place) -> None:
    found = {entry["name"]: entry for entry in place.told("plugins")["plugins"]}
    for name in NAMES.values():
        entry = found[name]
        assert (entry["version"], entry["distribution"]) == ("0.1.0", f"ftadvise_{snake(name)}")
        assert (entry["error"], entry["notes"]) == ("", [])
    assert found["demo-reader"]["gives"] == {"readers": ["demo-reader"]}
    assert found["demo-family"]["gives"] == {"model families": ["demo-family"]}
    assert found["demo-law"]["gives"] == {"laws": ["demo-law"]}
    assert found["demo-policy"]["gives"] == {"stop policies": ["demo-policy"]}
    assert found["demo-rule"]["gives"] == {"rules": ["DEMO101"]}


def snake(name: str) -> str:
    return name.replace("-", "_")


def test_all_five_keep_their_promises(place: Place) -> None:
    for name in NAMES.values():
        assert place.ftadvise("plugins", "check", name).endswith("All promises are kept.\n")


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass(place: Place, kind: str) -> None:
    command = (place.python, "-m", "pytest", "-q", "-W", "error")
    done = run(*command, folder=place.package(kind))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["lossbook", "tinyfamily"])
def test_the_tests_of_the_examples_pass(place: Place, name: str) -> None:
    command = (place.python, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    example = ROOT / "examples" / f"ftadvise-{name}"
    done = run(*command, folder=example, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stdout


def test_all_of_it_is_typed(place: Place) -> None:
    pytest.importorskip("mypy")
    files = [str(p) for kind in KINDS for p in sorted(place.package(kind).rglob("*.py"))]
    command = (sys.executable, "-m", "mypy", "--strict", "--cache-dir", "types", *files)
    done = run(*command, folder=place.folder)
    assert done.returncode == 0, done.stdout


def test_the_reader_reads_its_format(place: Place) -> None:
    sample = place.run("-c", "import ftadvise_demo_reader as m; print(m.SAMPLE)").stdout
    (place.folder / "book.txt").write_text(sample)
    advice = place.told("analyze", "book.txt")
    assert advice["source"]["format"] == "demo-reader"
    assert (advice["observed"]["eval_points"], advice["observed"]["best_epoch"]) == (5, 4.0)


def test_the_law_takes_part_in_a_fit(place: Place) -> None:
    code = f"import ftadvise; print({{l.name: l.share for l in ftadvise.fit(ftadvise.read({str(CHAT)!r})).laws}})"
    done = place.run("-c", code)
    assert done.returncode == 0, done.stderr
    shares: dict[str, float] = json.loads(done.stdout.replace("'", '"'))
    assert 0.0 < shares["demo-law"] < 0.5
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_policy_is_replayed(place: Place) -> None:
    found = place.told("replay", str(CHAT), "--policy", "demo-policy:patience=1,threshold=0.01")
    (replay,) = found["replays"]
    assert replay["policy"] == "demo-policy:patience=1,threshold=0.01"
    assert replay["stopped"] is True
    assert replay["best_epoch"] == 2.0


def test_the_finding_is_found_and_explained(place: Place) -> None:
    losses = [3.0, 2.0, 1.8, 1.7, 3.1, 1.8, 1.7]
    rows = [{"epoch": e, "eval_loss": loss} for e, loss in enumerate(losses, 1)]
    (place.folder / "jumps.json").write_text(json.dumps(rows))
    findings = {f["code"]: f for f in place.told("analyze", "jumps.json")["findings"]}
    told = findings["DEMO101"]["message"]
    assert told.startswith("The eval loss jumps by 82.4 % at epoch 5, ")
    page = place.ftadvise("rule", "demo101")
    assert page.startswith("DEMO101 demo-rule\n\nThe loss jumps up from one point to the next.\n")
    assert "Clip gradients" in page


def test_the_family_is_found_by_the_trainer(place: Place) -> None:
    code = (
        "from types import SimpleNamespace\n"
        "from ftadvise_trainer.families import choose, known, named\n"
        "families, tokenizer = known(), SimpleNamespace(chat_template=None)\n"
        "print(choose('demo_family', 'somebody/a-model', tokenizer, families).name)\n"
        "print(named('demo-family', families).title)\n"
    )
    done = place.run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "demo-family\nDemo Family\n"


def test_the_family_gives_its_recipe_to_a_dry_run(place: Place) -> None:
    pytest.importorskip("torch")
    tiny = ROOT / "examples" / "tiny"
    kept = [
        line
        for line in (tiny / "training.yaml").read_text().splitlines()
        if not line.strip().startswith(("learning_rate", "lr_scheduler", "warmup", "#"))
    ]
    text = "\n".join(kept).replace("model:\n", "model:\n  family: demo-family\n", 1)
    (place.folder / "tiny").mkdir()
    for one in tiny.iterdir():
        if one.name != "training.yaml":
            (place.folder / "tiny" / one.name).symlink_to(one)
    (place.folder / "tiny" / "training.yaml").write_text(text)
    command = (sys.executable, "-m", "ftadvise", "train", "--dry-run", "tiny/training.yaml")
    done = run(
        *command, folder=place.folder, PYTHONPATH=str(installed_alone(place)), HF_HUB_OFFLINE="1"
    )
    assert done.returncode == 0, done.stderr
    assert "learning_rate" in done.stdout
    assert "a customary start for a full fine-tune" in " ".join(done.stdout.split())
    assert "Question: " in done.stdout


def installed_alone(place: Place) -> Path:
    """Return a folder with the family as it was installed, for an environment with torch."""
    (wheel,) = place.folder.glob("wheels/ftadvise_demo_family*.whl")
    target = place.folder / "family"
    pip = (sys.executable, *PIP, "install", "--no-deps", "--no-index", "--target", str(target))
    done = run(*pip, str(wheel), folder=place.folder)
    assert done.returncode == 0, done.stderr
    return target


def test_without_them_everything_is_as_before(place: Place) -> None:
    assert "demo-law" in place.ftadvise("plugins")
    done = place.run(*PIP, "uninstall", "-y", *(f"ftadvise-{name}" for name in NAMES.values()))
    assert done.returncode == 0, done.stderr
    assert "demo-" not in place.ftadvise("plugins")
    assert place.ftadvise("analyze", str(CHAT)) == place.before
    assert place.ftadvise("replay", str(CHAT), "--policy", "demo-policy", code=2) == ""
    assert place.ftadvise("rule", "DEMO101", code=2) == ""
    assert "All promises are kept." in place.ftadvise("plugins", "check")
