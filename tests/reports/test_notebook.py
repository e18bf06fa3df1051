"""Results show themselves: a card in a notebook, axes of matplotlib, a line in a terminal."""

from __future__ import annotations

import base64
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from made_runs import five_numbers, make_run

import ftadvise
from ftadvise.advice import Advice
from ftadvise.display import Card
from ftadvise.errors import UsageError
from ftadvise.rules.case import Finding
from ftadvise.run import Run, Series, Source, as_floats

EVIL = '<script>alert(1)</script>" onmouseover="x \x1b[31m]]>&'
THINGS = ("run", "fit", "advice", "forecast", "decision", "replay")


@pytest.fixture(scope="module")
def things() -> dict[str, Any]:
    """Return one of everything that shows itself."""
    root = Path(__file__).resolve().parents[2]
    run = ftadvise.read(root / "examples" / "chat" / "trainer_state.json")
    advice = ftadvise.advise(run)
    return {
        "run": run,
        "fit": advice.fit,
        "advice": advice,
        "forecast": ftadvise.forecast(run, at=5),
        "decision": ftadvise.should_stop(run),
        "replay": ftadvise.replay(run, "keras"),
    }


def card(thing: Card) -> str:
    return thing._repr_html_()  # pyright: ignore[reportPrivateUsage] - the name that Jupyter asks for


class Skeleton(HTMLParser):
    """Collects the elements of a page, each with the names of its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[tuple[str, ...]] = set()
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, *(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("name", THINGS)
def test_a_card_has_no_script_asks_for_nothing_and_styles_nothing_but_itself(
    things: dict[str, Any], name: str
) -> None:
    page = card(things[name])
    assert "<script" not in page
    assert not re.search(r"https?:|url\(|@import|\bid=", page)
    assert "<style" not in page
    styles = " ".join(re.findall(r'style="([^"]*)"', page))
    assert not re.search(r"color|position|url", styles), "the colours are those of the notebook"


@pytest.mark.parametrize("name", THINGS)
def test_a_card_is_the_same_every_time(things: dict[str, Any], name: str) -> None:
    assert card(things[name]) == card(things[name])


def test_the_card_of_an_advice_says_the_answer_without_style_or_picture(
    things: dict[str, Any],
) -> None:
    advice: Advice = things["advice"]
    bare = re.sub(r' style="[^"]*"|<img[^>]*>', "", card(advice))
    told = " ".join("".join(Skeleton(bare).text).split())
    advised = advice.recommendation
    assert f"Next run: {advised.num_train_epochs} epoch" in told
    assert f"patience {advised.early_stopping_patience}, threshold" in told
    assert "num_train_epochs:" in told
    assert all(finding.message in told for finding in advice.findings)


@pytest.mark.parametrize("name", ["run", "fit", "advice"])
def test_the_curves_are_a_picture_that_stands_alone_and_says_what_it_shows(
    things: dict[str, Any], name: str
) -> None:
    page = card(things[name])
    [data] = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    root = ElementTree.fromstring(base64.b64decode(data))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {part.tag.rpartition("}")[2] for part in root.iter()} <= {
        "svg", "g", "rect", "path", "circle", "text"
    }  # fmt: skip
    assert re.search(r'alt="[^"]*eval loss', page)


def test_what_a_log_says_is_shown_as_text(things: dict[str, Any]) -> None:
    run: Run = things["run"]
    evil = replace(
        run,
        train=replace(run.train, key=EVIL),
        source=Source(EVIL, EVIL, EVIL, (EVIL,)),
        nonfinite={EVIL: 1},
        notes=(EVIL,),
    )
    advice: Advice = replace(
        things["advice"],
        run=evil,
        findings=(Finding(EVIL, EVIL, EVIL, {EVIL: EVIL}, EVIL),),
        reasons=(EVIL,),
    )
    fit = replace(things["fit"], run=evil)
    decision = replace(things["decision"], reason=EVIL)
    replay = replace(things["replay"], policy=EVIL)
    for name, thing in zip(
        ("run", "fit", "advice", "decision", "replay"),
        (evil, fit, advice, decision, replay),
        strict=True,
    ):
        shown = Skeleton(card(thing))
        harmless = Skeleton(card(things[name]) + card(things["advice"])).elements
        assert shown.elements <= harmless
        assert "<script>alert(1)</script>" in "".join(shown.text)
        assert "\x1b" not in card(thing) + repr(thing)


def test_a_run_without_a_loss_has_a_card_without_a_picture() -> None:
    page = card(Run(source=Source(path="empty.json")))
    assert "empty.json" in page
    assert "<img" not in page


def test_the_card_of_a_replay_without_a_finite_loss_has_no_nan() -> None:
    run = make_run()
    nothing = replace(run.eval, loss=as_floats([float("nan")] * len(run.eval)))
    run = replace(run, eval=nothing)
    page = card(ftadvise.replay(run, "keras"))
    assert "no loss is finite" in page
    assert "nan" not in page


def test_a_card_of_a_long_log_is_not_long() -> None:
    many = 100_000
    at = as_floats(range(1, many + 1))
    run = Run(train=Series("loss", at, at, 1.0 + 1.0 / at))
    assert len(card(run)) < 40_000


@pytest.mark.parametrize("name", THINGS)
def test_a_result_in_a_terminal_takes_a_line_or_two(things: dict[str, Any], name: str) -> None:
    shown = repr(things[name])
    assert shown.startswith(f"{type(things[name]).__name__}(")
    assert len(shown) < 320
    assert "\n" not in shown


@pytest.mark.parametrize("name", ["run", "fit", "advice"])
def test_plot_draws_on_the_axes_that_it_is_given(things: dict[str, Any], name: str) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.add_subplot()
    assert things[name].plot(axes) is axes
    told = {text.get_text() for text in axes.get_legend().get_texts()}
    assert {"eval loss", "train loss", "best"} <= told
    assert axes.get_xlabel() == "epoch"


def test_plot_without_axes_makes_a_figure_that_pyplot_does_not_know(
    things: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    axes = things["advice"].plot()
    axes.figure.savefig(tmp_path / "advice.png")
    assert (tmp_path / "advice.png").stat().st_size > 1000
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules[
        "matplotlib.pyplot"
    ].fignum_exists(1)


def test_losses_over_several_decades_are_drawn_in_logarithms() -> None:
    pytest.importorskip("matplotlib")
    assert five_numbers().plot().get_yscale() == "log"
    assert make_run().plot().get_yscale() == "linear"


def test_plot_without_matplotlib_says_what_to_install(
    things: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match="matplotlib") as caught:
        things["run"].plot()
    assert caught.value.code == "FT411"
    assert caught.value.hint == "pip install 'ftadvise[plot]'"


def test_plot_of_a_run_without_losses_is_refused() -> None:
    with pytest.raises(UsageError, match="no curve"):
        Run().plot()


def test_what_is_not_drawn_loads_neither_templates_nor_matplotlib(shell: Any) -> None:
    program = (
        "import sys, ftadvise; repr(ftadvise.advise(ftadvise.read('examples/chat'))); "
        "print([m for m in ('jinja2', 'matplotlib', 'ftadvise.reports') if m in sys.modules])"
    )
    assert shell("-c", program).stdout.strip() == "[]"
