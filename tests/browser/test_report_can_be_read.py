"""A report can be read by anyone: without scripts, on a phone, in the dark, on paper, aloud.

The pictures that these tests take are kept in the folder $FTADVISE_SCREENSHOTS where it is set.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_reports
import pytest

Open = Callable[..., Any]
Keep = Callable[[Any, str], None]

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (360, 768, 1280)
# The contrast of WCAG 2.2 (1.4.3) between each text in sight and what is behind it.
CONTRAST = """() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), rgba("canvas"));
  };
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => {
    const v = c[i] / 255;
    return sum + part * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const poor = [];
  let seen = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const one = node.parentElement;
    if (!node.data.trim() || /^(SCRIPT|STYLE)$/.test(one.tagName) || !one.checkVisibility()) continue;
    const style = getComputedStyle(one), ground = behind(one);
    const ink = rgba(one.namespaceURI.endsWith("svg") ? style.fill : style.color);
    for (let at = one; at; at = at.parentElement) ink[3] *= Number(getComputedStyle(at).opacity);
    const [a, b] = [light(over(ink, ground)), light(ground)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${one.tagName}.${one.className.baseVal ?? one.className}: ${node.data.trim().slice(0, 40)}`);
  }
  return [seen, [...new Set(poor)]];
}"""
WIDE = """() => [...document.querySelectorAll("body *")].filter((one) => {
  const inside = one.closest(".scroll, pre, .drawn-box");
  return (!inside || inside === one) && one.getBoundingClientRect().right > innerWidth + 1;
}).map((one) => `${one.tagName}.${one.className}`)"""


@pytest.fixture(scope="module")
def reports() -> dict[str, str]:
    return {
        "one": made_reports.ordinary(ROOT),
        "many": made_reports.many(6),
        "hostile": made_reports.hostile_many(),
        "broken": made_reports.one_point(),
    }


NAMES = ["one", "many", "hostile", "broken"]


def unfold(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(
    opened: Open, screenshot: Keep, reports: dict[str, str], name: str, width: int
) -> None:
    seen = opened(reports[name], viewport={"width": width, "height": 800})
    unfold(seen.page)
    seen.page.wait_for_timeout(200)
    root = "document.documentElement"
    assert seen.page.evaluate(f"{root}.scrollWidth") <= width, seen.page.evaluate(WIDE)
    assert seen.page.evaluate(WIDE) == []
    if name != "hostile":
        screenshot(seen.page, f"{name}-{width}")


@pytest.mark.parametrize("name", ["one", "many", "broken"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("script", [True, False])
def test_every_text_stands_out_from_its_ground(
    opened: Open, screenshot: Keep, reports: dict[str, str], name: str, scheme: str, script: bool
) -> None:
    seen = opened(
        reports[name],
        color_scheme=scheme,
        java_script_enabled=script,
        viewport={"width": 1000, "height": 800},
    )
    if script:
        unfold(seen.page)
    seen.page.wait_for_timeout(300)
    count, poor = seen.page.evaluate(CONTRAST)
    assert count > (8 if name == "broken" else 60)
    assert poor == []
    screenshot(seen.page, f"{name}-{scheme}{'' if script else '-no-script'}")


@pytest.mark.parametrize("name", ["one", "many"])
def test_without_scripts_the_chart_is_drawn_and_every_word_is_there(
    opened: Open, reports: dict[str, str], name: str
) -> None:
    dead = opened(reports[name], java_script_enabled=False)
    alive = opened(reports[name])
    unfold(alive.page)
    assert dead.page.locator("svg.drawn").first.is_visible()
    assert not dead.page.locator("button").first.is_visible()
    assert alive.page.locator("svg.drawn").first.is_hidden()
    with_script, without = (
        " ".join(one.page.locator("main").inner_text().split()) for one in (alive, dead)
    )
    for words in ("Next run", "Stop early", "Overfitting", "Configuration", "num_train_epochs"):
        assert words in with_script
        assert words in without
    for heading in alive.page.locator("h1, h2").all_text_contents():
        assert heading in dead.page.locator("body").inner_text()


def test_on_paper_all_is_unfolded_and_drawn_and_no_button_is_left(
    opened: Open, screenshot: Keep, reports: dict[str, str]
) -> None:
    seen = opened(reports["many"], viewport={"width": 800, "height": 1000})
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen.page.emulate_media(media="print")
    assert seen.page.locator("details:not([open])").count() == 0
    assert not any(one.is_visible() for one in seen.page.locator("button").all())
    assert all(one.is_visible() for one in seen.page.locator("svg.drawn").all())
    assert len(seen.page.pdf()) > 10_000
    screenshot(seen.page, "many-paper")


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fetch axe-core, which checks the rules of WCAG that a machine can check."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", "axe-core@4", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    packed = next(folder.glob("axe-core-*.tgz"), None)
    if done.returncode or packed is None:
        pytest.skip("npm cannot fetch axe-core")
    shutil.unpack_archive(packed, folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["one", "many", "broken"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(
    opened: Open, axe: str, reports: dict[str, str], name: str, scheme: str
) -> None:
    seen = opened(reports[name], color_scheme=scheme, bypass_csp=True)
    unfold(seen.page)
    seen.page.wait_for_timeout(300)
    seen.page.evaluate(axe)
    found = seen.page.evaluate("axe.run()")["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
