"""Imports between the rooms of the advisor go one way, and each root holds one package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ADVISOR = ROOT / "advisor" / "ftadvise"

# From the ground up: a room imports only from rooms in lines above its own, or beside it in its
# own folder.
FLOORS = (
    ("errors", "text", "numbers", "display", "entrypoints", "priors", "user_data"),
    ("run",),
    ("families", "templates"),
    ("hookspecs",),
    ("plugin_faults",),
    ("plugins",),
    ("environment",),
    ("readers", "schedules", "noise", "thinning", "stop_rules"),
    ("laws", "trend", "gap", "together"),
    ("history",),
    ("optimum",),
    ("carrying",),
    ("posterior",),
    ("fitting",),
    ("lengths", "calm"),
    ("measured",),
    ("stopping", "onset", "forecasting", "live", "annealing"),
    ("policies",),
    ("rules",),
    ("patience", "keeping"),
    ("horizon",),
    ("advice",),
    ("scenarios", "reasons"),
    ("advising", "watching"),
    ("reports", "testing", "authoring"),
    ("config",),
    ("cli",),
    ("__main__",),
)


def modules() -> list[Path]:
    return sorted(ADVISOR.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ADVISOR).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports when it runs (not those for the type checker)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(n for part in node.body for n in ast.walk(part))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ADVISOR)))
def test_a_room_imports_only_from_the_floors_below(path: Path) -> None:
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    here = room(path)
    if here == "__init__":
        return
    assert here in floor, f"{here} has no floor: add it to FLOORS where it belongs"
    for module in imported(path):
        parts = module.split(".")
        if parts[0] != "ftadvise" or len(parts) == 1 or parts[1] not in floor:
            continue
        there = parts[1]
        assert there == here or floor[there] < floor[here], f"{here} imports {module}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ADVISOR)))
def test_the_advisor_never_imports_torch_or_the_other_roots(path: Path) -> None:
    banned = {"torch", "transformers", "peft", "ftadvise_trainer", "ftadvise_plugins"}
    assert not banned & {module.split(".")[0] for module in imported(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ADVISOR)))
def test_only_the_command_line_prints(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prints = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") == "print" or getattr(node.func, "attr", "") == "echo")
    ]
    assert room(path) == "cli" or not prints


@pytest.mark.parametrize("root", ["advisor", "trainer", "plugins"])
def test_a_root_holds_one_package_with_a_name_of_its_own(root: str) -> None:
    folder = ROOT / root
    if not folder.is_dir():
        return
    packages = [
        p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_"))
    ]
    assert all(name.startswith("ftadvise") for name in packages)
    assert not list(folder.glob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ADVISOR)))
def test_no_file_grows_beyond_three_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
