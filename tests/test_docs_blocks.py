"""Every code block of the documentation runs, or says why it cannot."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from doc_blocks import ROOT, Block, Step, bash, blocks_of, differs, steps_of
from doc_files import make_files
from doc_givens import GIVENS
from forked_cli import installed

GENERATED = ROOT / "docs" / "reference"
"""Pages that are compared with the code as a whole, in test_docs.py."""

FOLLOWED = ROOT / "docs" / "tutorial.md"
"""Its commands run in tests/tutorial."""

PAGES = [
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not page.is_relative_to(GENERATED) and page not in (FOLLOWED, ROOT / "CONTRIBUTING.md")
]
"""Not those of benchmarks/ and CONTRIBUTING.md: their commands take minutes, and data or a clone;
test_docs.py says that the scripts are there."""
BLOCKS = sorted(
    (block for page in PAGES for block in blocks_of(page)), key=lambda b: (b.page, b.line)
)
SHELL = ("console", "bash")
RUN = (*SHELL, "python", "yaml", "json")


def of(*languages: str, system: bool = False) -> list[Any]:
    chosen = [
        b
        for b in BLOCKS
        if b.language in languages and not b.aside and ("system" in b.marks) == system
    ]
    return [pytest.param(block, id=block.name) for block in chosen]


@dataclass(frozen=True)
class Place:
    """Where blocks run."""

    files: Path
    """A folder with the files that pages speak of; to be copied."""

    programs: Path
    """A folder with `ftadvise`."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    top = tmp_path_factory.mktemp("docs")
    make_files(top / "files")
    with installed(top) as programs:
        yield Place(top / "files", programs)


@pytest.fixture
def folder(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files of the pages, and be in it."""
    own = tmp_path / "work"
    shutil.copytree(place.files, own)
    monkeypatch.chdir(own)
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    path = f"{place.programs}{os.pathsep}{own / 'programs'}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("FTADVISE_HISTORY", str(tmp_path / "history.sqlite3"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return own


def shell(command: str) -> subprocess.CompletedProcess[str]:
    named = "trap 'echo \"this failed: $BASH_COMMAND\"' ERR\n"
    return bash("-euo", "pipefail", "-c", named + command)


def pages_with(*languages: str) -> list[Any]:
    """Return the pages with such blocks to be run."""
    found = dict.fromkeys(b.page for b in BLOCKS if b.language in languages and not b.aside)
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in found]


def run_session(blocks: list[Block]) -> None:
    """Run commands one after another, in the folder that there is."""
    for block in blocks:
        if (program := block.marks.get("needs")) and not shutil.which(program):
            continue
        for step in [Step(block.marks.get("before", ""), ""), *steps_of(block)]:
            done = shell(step.command)
            assert done.returncode == 0, f"{block.name}\n{done.stdout[-1500:]}"
            wrong = differs(step.shown, done.stdout)
            assert not wrong, f"{block.name}: {step.command}\n{wrong}"


@pytest.mark.parametrize("page", pages_with("console"))
def test_commands_print_what_the_page_shows(page: Path, folder: Path) -> None:
    run_session([
        b
        for b in BLOCKS
        if b.page == page and b.language == "console" and not b.aside and "system" not in b.marks
    ])  # fmt: skip


@pytest.mark.system
@pytest.mark.parametrize("page", pages_with(*SHELL))
def test_all_commands_of_a_page_run(page: Path, folder: Path) -> None:
    run_session([b for b in BLOCKS if b.page == page and b.language in SHELL and not b.aside])


def run_python(block: Block, folder: Path, patch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    if given := block.marks.get("given"):
        names |= GIVENS[given](patch)
    script = folder / f"{block.page.stem}.py"
    script.write_text(
        "\n" * (block.line - 1) + block.code, encoding="utf-8"
    )  # with its line numbers
    runpy.run_path(str(script), init_globals=names)


@pytest.mark.parametrize("block", of("python"))
def test_python_of_a_page_runs(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_python(block, folder, monkeypatch)


@pytest.mark.system
@pytest.mark.filterwarnings("ignore::FutureWarning")  # TRL sets what transformers will rename
@pytest.mark.parametrize("block", of("python", system=True))
def test_python_of_a_page_that_needs_torch_runs(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_python(block, folder, monkeypatch)


def read_yaml(block: Block) -> None:
    from ftadvise_trainer.settings.file import load_config

    document: dict[str, Any] = yaml.safe_load(block.code)
    if document.keys() & {"model", "data", "training", "lora"}:
        base = yaml.safe_load(Path("training.yaml").read_text(encoding="utf-8"))
        Path("page.yaml").write_text(yaml.safe_dump(base | document), encoding="utf-8")
        load_config("page.yaml")


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_of_a_page_is_read_by_what_it_is_for(block: Block, folder: Path) -> None:
    read_yaml(block)


@pytest.mark.system
@pytest.mark.parametrize("block", of("yaml", system=True))
def test_yaml_of_a_page_with_keys_of_transformers_is_read(block: Block, folder: Path) -> None:
    read_yaml(block)


def no_constant(name: str) -> None:
    pytest.fail(f"{name} is not strict JSON")


@pytest.mark.parametrize("block", of("json"))
def test_json_of_a_page_is_as_its_schema_says(block: Block) -> None:
    document = json.loads(block.code, parse_constant=no_constant)
    if named := re.fullmatch(r"ftadvise\.([\w.]+)/(\d+)", str(document.get("schema"))):
        path = ROOT / "docs" / "schemas" / f"{named[1]}-{named[2]}.schema.json"
        jsonschema.validate(document, json.loads(path.read_text(encoding="utf-8")))


def test_every_block_is_run_or_says_why_not() -> None:
    silent = [b.name for b in BLOCKS if b.language not in RUN and not b.aside]
    assert not silent, "say what these are for, or `<!-- not run: REASON -->` above them"


def test_a_test_that_is_named_for_a_block_is_there() -> None:
    for block in BLOCKS:
        for path in re.findall(r"\btests/[\w/.]+", block.aside):
            assert (ROOT / path.rstrip(".")).exists(), f"{block.name} names {path}"


def test_a_line_that_is_not_as_shown_is_found() -> None:
    assert not differs("epochs 4\n...\nend", "epochs 4\nmore\n\nand more \nend\n")
    assert not differs("epochs ... of ...", "epochs 4 of 10, linear\n")
    assert differs("epochs 4\n...\nend", "epochs 5\nend\n")
    assert differs("epochs 4", "epochs 4\nend\n")
    assert differs("epochs 4 of ...", "epochs 41\n")


def test_most_blocks_are_run() -> None:
    aside = [f"{block.name}: {block.aside}" for block in BLOCKS if block.aside]
    assert len(aside) < len(BLOCKS) / 2, "\n".join(aside)
