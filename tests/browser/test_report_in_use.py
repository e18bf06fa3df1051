"""What a reader does with a report: read values, zoom, switch the scale, copy, sort, unfold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_reports
import pytest

Open = Callable[..., Any]

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
SHOWN = "figure.chart.live >> nth=0"
# The chart is a canvas: what is on it is compared by a sum over its pixels, and its axis is read
# through the readout at the edges of the plot.
INK = """canvas => {
  const pen = canvas.getContext("2d"), all = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < all.length; i += 4) sum = (sum * 31 + all[i] + 3 * all[i + 1] + 7 * all[i + 3]) % 1000003;
  return sum;
}"""


@pytest.fixture(scope="module")
def report() -> str:
    return made_reports.ordinary(ROOT)


@pytest.fixture
def page(opened: Open, report: str) -> Any:
    """Open the report of an ordinary log, with a clipboard, and its first chart in sight."""
    seen = opened(
        report,
        viewport={"width": 1000, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
    )
    seen.page.locator(SHOWN).scroll_into_view_if_needed()
    yield seen.page
    assert seen.troubles == []
    assert seen.requests == []


def over(page: Any) -> Any:
    """Return where the plotting area of the first chart is."""
    return page.locator(f"{SHOWN} >> .u-over").bounding_box()


def readout(page: Any, share: float) -> float:
    """Hold the cursor over the first chart, at a share of its width; return the epoch it names."""
    box = over(page)
    page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    said = page.locator(f"{SHOWN} >> .hint").text_content()
    assert said.startswith("epoch "), said
    return float(said.removeprefix("epoch ").replace("−", "-"))


def drawn(page: Any) -> Any:
    """Return a number that stands for what is on the canvas of the first chart."""
    return page.locator(f"{SHOWN} >> canvas").first.evaluate(INK)


def test_holding_the_cursor_over_a_curve_shows_its_values(page: Any) -> None:
    assert 1.5 < readout(page, 0.4) < 2.5
    told = page.locator(f"{SHOWN} >> .legend .value").all_text_contents()
    values = [float(one) for one in told if one.strip()]
    assert len(values) >= 2
    assert all(0.4 < value < 2.0 for value in values)
    page.mouse.move(1, 1)
    assert "Drag" in page.locator(f"{SHOWN} >> .hint").text_content()


def test_dragging_zooms_and_a_double_click_shows_all_again(page: Any) -> None:
    whole = readout(page, 0.02), readout(page, 0.98)
    box = over(page)
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.4 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=5)
    page.mouse.up()
    page.wait_for_timeout(100)
    zoomed = readout(page, 0.02), readout(page, 0.98)
    assert zoomed[0] > whole[0] + 1.0
    assert zoomed[1] < whole[1] - 1.0
    page.mouse.dblclick(box["x"] + 0.5 * box["width"], middle)
    page.wait_for_timeout(100)
    assert (readout(page, 0.02), readout(page, 0.98)) == pytest.approx(whole, abs=0.02)


def test_the_log_scale_is_another_picture_and_can_be_left_again(page: Any) -> None:
    button = page.locator(f"{SHOWN} >> [data-log]")
    before, state = drawn(page), button.get_attribute("aria-pressed")
    button.click()
    page.wait_for_timeout(100)
    assert drawn(page) != before
    assert button.get_attribute("aria-pressed") != state
    button.click()
    page.wait_for_timeout(100)
    assert drawn(page) == before


def test_a_curve_is_hidden_and_shown_by_its_name(page: Any) -> None:
    before = drawn(page)
    name = page.locator(f"{SHOWN} >> .legend button").first
    name.click()
    page.wait_for_timeout(100)
    assert name.get_attribute("aria-pressed") == "false"
    assert drawn(page) != before
    name.click()
    page.mouse.move(1, 1)
    page.wait_for_timeout(100)
    assert drawn(page) == before


def test_the_configuration_is_copied(page: Any) -> None:
    page.locator(".copied button").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator(".copied code").first.text_content().rstrip()
    assert copied.startswith("training:\n  num_train_epochs: ")


def test_the_answer_is_copied_and_downloaded_as_json(page: Any) -> None:
    page.locator("[data-copy=answer-data]").click()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["schema"] == "ftadvise.advice/1"
    with page.expect_download() as waiting:
        page.locator("[data-download]").click()
    assert json.loads(Path(waiting.value.path()).read_text()) == copied


def test_a_chart_is_read_and_zoomed_by_the_keyboard(page: Any) -> None:
    page.locator(f"{SHOWN} >> .plot").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    first = page.locator(f"{SHOWN} >> .hint").text_content()
    page.keyboard.press("ArrowRight")
    assert first.startswith("epoch ")
    assert page.locator(f"{SHOWN} >> .hint").text_content() != first
    before = drawn(page)
    page.keyboard.press("+")
    page.wait_for_timeout(100)
    assert drawn(page) != before
    page.keyboard.press("Escape")
    page.wait_for_timeout(100)
    assert 0.0 <= readout(page, 0.02) < 0.3


def test_the_table_of_many_logs_sorts_by_any_column_both_ways(opened: Open) -> None:
    seen = opened(made_reports.many(6), viewport={"width": 1280, "height": 900})
    column = seen.page.locator(".compare thead button", has_text="Best loss")

    def losses() -> list[float]:
        cells = seen.page.locator(".compare tbody tr:not(.error) td:nth-child(3)")
        return [float(one) for one in cells.all_text_contents()]

    as_given = losses()
    column.click()
    assert losses() == sorted(as_given)
    column.click()
    assert losses() == sorted(as_given, reverse=True)
    assert seen.page.locator(".compare tbody tr").count() == 7
    seen.page.locator(".compare a").first.click()
    assert seen.page.locator("details.run[open]").count() == 1
    seen.page.locator("details.run[open] figure.chart.live").first.wait_for()
    assert seen.troubles == []


def test_names_that_begin_with_the_same_number_are_sorted_as_names(opened: Open) -> None:
    seen = opened(made_reports.many(3, "2024-{:02}-01"), viewport={"width": 1280, "height": 900})
    column = seen.page.locator(".compare thead button", has_text="Log")
    names = seen.page.locator(".compare tbody tr:not(.error) th")
    in_order = names.all_text_contents()
    column.click()
    assert names.all_text_contents() == in_order
    column.click()
    assert names.all_text_contents() == in_order[::-1]


def test_the_longest_log_is_drawn_and_read_as_quickly(opened: Open, tmp_path: Path) -> None:
    seen = opened(made_reports.largest(tmp_path, rows=200_000))
    timing = "performance.getEntriesByType('navigation')[0]"
    assert seen.page.evaluate(f"{timing}.loadEventEnd - {timing}.startTime") < 5_000
    seen.page.locator(SHOWN).scroll_into_view_if_needed()
    assert 0.5 < readout(seen.page, 0.4) < 2.0
    assert seen.troubles == []
