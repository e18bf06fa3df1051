"""The pictures of the documentation are what the code draws now."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from doc_scripts import load

ROOT = Path(__file__).parent.parent
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))


@pytest.fixture(scope="module")
def make_pictures() -> ModuleType:
    return load("make_pictures")


def test_the_pictures_of_the_example_are_as_they_would_be_drawn_now(
    make_pictures: ModuleType,
) -> None:
    drawn = make_pictures.drawn(["terminal", "advice"])
    assert list(drawn) == ["terminal.svg", "advice.svg"]
    assert make_pictures.stale(drawn) == [], "run python docs/make_pictures.py"
    assert make_pictures.stale({"terminal.svg": "<svg/>"}) == ["terminal.svg"]


def test_the_terminal_is_drawn_as_the_command_prints_it(make_pictures: ModuleType) -> None:
    drawn = make_pictures.drawn(["terminal"])["terminal.svg"]
    written = [text.text for text in ElementTree.fromstring(drawn).iter() if text.text]
    for words in ("ftadvise analyze examples/chat/trainer_state.json", "Next run", "Overfitting"):
        assert words in written
    assert not re.search("[⠀-⣿]", drawn), "a character that many fonts lack"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.name)
def test_no_picture_brings_anything_along_or_runs_anything(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    links = re.findall(r"\w+://[^\s\"]+", text)
    assert set(links) == {"http://www.w3.org/2000/svg"}
    assert "<script" not in text
    assert "prefers-color-scheme:dark" in text
    assert len(text) < 60_000


@pytest.mark.system
def test_the_report_is_photographed_small_enough(
    make_pictures: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("playwright")
    try:
        taken = list(make_pictures.screenshots.take(tmp_path))
    except RuntimeError as missing:
        pytest.skip(str(missing))
    assert [path.name for path in taken] == ["report.png", "report-phone.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in taken)


@pytest.mark.long
def test_all_pictures_are_as_they_would_be_drawn_now(make_pictures: ModuleType) -> None:
    drawn = make_pictures.drawn([])
    assert set(drawn) == {picture.name for picture in PICTURES}
    assert make_pictures.stale(drawn) == [], "run python docs/make_pictures.py"
