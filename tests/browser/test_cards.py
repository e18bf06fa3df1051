"""A card is as readable in a dark notebook as in a light one, and harmless in both."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_strings import STRINGS, spoiled
from made_runs import make_run

import ftadvise

Open = Callable[..., Any]
Keep = Callable[[Any, str], None]

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
# What notebooks do to the tables and words of an output.
AROUND = """<meta charset="utf-8"><style>
body {{ background: {ground}; color: {ink}; font-family: sans-serif; }}
.output td {{ text-align: right; }} .output tbody tr:nth-child(odd) {{ background: #888; }}
</style><div class="output">{cards}</div>"""


def cards(*things: Any) -> str:
    return "<hr>".join(thing._repr_html_() for thing in things)


@pytest.mark.parametrize(("ground", "ink"), [("#ffffff", "#000000"), ("#111111", "#ffffff")])
def test_cards_take_the_colours_of_the_notebook_and_bring_their_own_ground_for_the_chart(
    opened: Open, screenshot: Keep, ground: str, ink: str
) -> None:
    advice = ftadvise.advise(ftadvise.read(ROOT / "examples" / "chat" / "trainer_state.json"))
    shown = cards(advice.run, advice.fit, advice, ftadvise.should_stop(advice.run))
    seen = opened(AROUND.format(ground=ground, ink=ink, cards=shown))
    cell = seen.page.locator(".ftadvise-card td").nth(1)
    look = "one => { const s = getComputedStyle(one); return [s.color, s.textAlign, s.backgroundColor]; }"
    colour, side, behind = cell.evaluate(look)
    assert (side, behind) == ("left", "rgba(0, 0, 0, 0)")
    assert colour == ("rgb(0, 0, 0)" if ink == "#000000" else "rgb(255, 255, 255)")
    images = seen.page.locator(".ftadvise-card img")
    assert images.count() == 3
    assert all(one.evaluate("one => one.naturalWidth") > 500 for one in images.all())
    assert seen.page.locator("details[open]").count() == 0
    assert (seen.troubles, seen.requests) == ([], [])
    screenshot(seen.page, f"cards-{'light' if ink == '#000000' else 'dark'}")


def test_a_card_without_styles_still_says_everything(opened: Open, screenshot: Keep) -> None:
    advice = ftadvise.advise(ftadvise.read(ROOT / "examples" / "chat" / "trainer_state.json"))
    bare = re.sub(r' (?:style|class)="[^"]*"', "", cards(advice))
    seen = opened('<meta charset="utf-8">' + bare)
    told = seen.page.locator("body").inner_text()
    assert told.startswith(f"Next run: {advice.num_train_epochs} epochs")
    assert f"Stop early\tpatience {advice.recommendation.early_stopping_patience}" in told
    assert seen.page.locator("img").first.is_visible()
    screenshot(seen.page, "card-bare")


def test_no_hostile_string_runs_anything_in_a_card(opened: Open) -> None:
    advice = ftadvise.advise(make_run(rise=0.6))
    evil = [spoiled(advice, said) for said in STRINGS]
    shown = cards(*(one for each in evil for one in (each, each.run, each.fit)))
    seen = opened('<meta charset="utf-8">' + shown)
    seen.page.wait_for_timeout(300)
    assert seen.page.evaluate("window.stolen") is None
    assert seen.page.locator(".ftadvise-card").count() == 3 * len(STRINGS)
    assert (seen.troubles, seen.requests) == ([], [])
