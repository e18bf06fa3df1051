"""A report asks for nothing, runs nothing that a log brought along, and opens without an error."""

from __future__ import annotations

import functools
import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_reports
import pytest
from hostile_strings import STRINGS

Open = Callable[..., Any]

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
ATTACKS = """() => {
  const script = document.createElement("script");
  script.textContent = "window.stolen = 'script'";
  document.body.append(script);
  const image = document.createElement("img");
  image.setAttribute("onerror", "window.stolen = 'handler'");
  image.src = "http://192.0.2.1/x.png";
  document.body.append(image);
  document.body.insertAdjacentHTML("beforeend",
    '<svg onload="window.stolen=1"></svg><style>body{color:red}</style>' +
    '<iframe srcdoc="<script>parent.stolen=2</scr' + 'ipt>"></iframe>');
  return fetch("http://192.0.2.1/").then(() => "fetched", () => "refused");
}"""


@functools.cache
def page_of(name: str) -> str:
    """Return one of the pages by its name."""
    with tempfile.TemporaryDirectory() as folder:
        return MAKERS[name](Path(folder))


MAKERS: dict[str, Callable[[Path], str]] = {
    "one point": lambda _: made_reports.one_point(),
    "two points": lambda _: made_reports.two_points(),
    "ordinary": lambda _: made_reports.ordinary(ROOT),
    "largest": made_reports.largest,
    "many": lambda _: made_reports.many(),
    "hostile": lambda _: made_reports.hostile_many(),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_report_opens_without_an_error_and_without_asking_for_anything(
    opened: Open, name: str
) -> None:
    seen = opened(page_of(name))
    for one in seen.page.locator("details").all():
        one.evaluate("one => { one.open = true; }")
    seen.page.wait_for_timeout(300)
    assert seen.troubles == []
    assert seen.requests == []
    assert seen.page.evaluate("window.stolen") is None


@pytest.mark.parametrize("name", MAKERS)
def test_a_report_is_small_whatever_the_log_is(name: str) -> None:
    limit = {"many": 1_000_000, "hostile": 1_500_000}.get(name, 300_000)  # of 25 and 126 logs
    whole = page_of(name).encode("utf-8", "replace")
    assert len(whole) <= limit
    assert len(gzip.compress(whole)) < limit / 3


def test_no_hostile_string_runs_anything_in_a_report_of_its_own(
    opened: Open, tmp_path: Path
) -> None:
    seen = opened(made_reports.hostile("plain"))
    for number, said in enumerate(STRINGS):
        seen.go(tmp_path / f"hostile{number}.html", made_reports.hostile(said))
        assert seen.troubles == [], said
        assert seen.requests == [], said
        assert seen.page.evaluate("window.stolen") is None, said
        assert seen.page.title().endswith("training advice"), said


def test_the_policy_of_the_page_stops_what_would_be_put_into_it(
    opened: Open,
) -> None:
    seen = opened(page_of("ordinary"))
    assert seen.page.evaluate(ATTACKS) == "refused"
    seen.page.wait_for_timeout(300)
    assert seen.page.evaluate("window.stolen") is None
    assert any("Content Security Policy" in trouble for trouble in seen.troubles)
    assert seen.page.evaluate("getComputedStyle(document.body).color") != "rgb(255, 0, 0)"


def test_the_same_answer_gives_the_same_bytes() -> None:
    assert made_reports.ordinary(ROOT) == made_reports.ordinary(ROOT)
