"""Our quick search for entry points finds what importlib.metadata finds."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from ftadvise.entrypoints import entry_points


@pytest.mark.parametrize("group", ["console_scripts", "pytest11", "ftadvise", "no such group"])
def test_the_installed_entry_points_are_those_of_importlib_metadata(group: str) -> None:
    installed = importlib.metadata.entry_points(group=group)
    expected = {(e.name, f"{e.module}:{e.attr}" if e.attr else e.module) for e in installed}
    assert {(e.name, e.value) for e in entry_points(group)} == expected


def made(folder: Path, name: str, text: str) -> None:
    info = folder / name
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(text)


def test_comments_extras_and_other_groups_are_read_as_they_are_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "[other]\nx = y\n[ftadvise]\n# a comment\none = json:dumps [extra]\n two= math\n"
    made(tmp_path, "my_plugin-1.2.dist-info", text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {e.name: e for e in entry_points("ftadvise") if e.distribution == "my_plugin"}
    assert set(found) == {"one", "two"}
    assert (found["one"].value, found["one"].version) == ("json:dumps", "1.2")
    assert found["one"].load()([1]) == "[1]"


def test_a_distribution_that_is_found_twice_counts_once_the_first_in_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "old", "twice-1.0.dist-info", "[ftadvise]\nt = json\n")
    made(tmp_path / "new", "twice-2.0.dist-info", "[ftadvise]\nt = math\n")
    monkeypatch.syspath_prepend(str(tmp_path / "old"))
    monkeypatch.syspath_prepend(str(tmp_path / "new"))
    found = [e for e in entry_points("ftadvise") if e.distribution == "twice"]
    assert [(e.value, e.version) for e in found] == [("math", "2.0")]
