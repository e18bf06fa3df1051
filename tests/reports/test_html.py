"""The HTML report of one log: all of the answer is on it, and nothing of the log can act on it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re

import numpy as np
import pytest
from made_pages import Element, Page, read_page
from made_runs import five_numbers, make_run

import ftadvise
from ftadvise.advice import Advice
from ftadvise.errors import LogError
from ftadvise.reports.html import page
from ftadvise.run import Run, Series, Source, as_floats

HOSTILE = "</script x><!--<script ></script><script>alert(1)</script><b onclick='x'>&amp;\x1b[31m\u202e\" run"


@pytest.fixture(scope="module")
def advice() -> Advice:
    return ftadvise.advise(make_run(epochs=6, evals=12, rise=0.4, noise=0.005))


@pytest.fixture(scope="module")
def html(advice: Advice) -> str:
    return page([("runs/a.json", advice)], command="ftadvise analyze runs/a.json --format html")


@pytest.fixture(scope="module")
def seen(html: str) -> Page:
    return read_page(html)


def hostile() -> Advice:
    run = make_run(epochs=4, evals=8, rise=0.4)
    return ftadvise.advise(
        Run(
            train=Series(HOSTILE, run.train.step, run.train.epoch, run.train.loss),
            eval=Series(HOSTILE, run.eval.step, run.eval.epoch, run.eval.loss),
            lr=run.lr,
            source=Source(HOSTILE, HOSTILE, HOSTILE, (HOSTILE, HOSTILE)),
            notes=(HOSTILE,),
        )
    )


def test_every_element_is_closed_where_it_was_opened(seen: Page) -> None:
    assert seen.wrong == []


def test_the_same_answer_gives_the_same_bytes(advice: Advice, html: str) -> None:
    again = page([("runs/a.json", advice)], command="ftadvise analyze runs/a.json --format html")
    assert again == html


def test_the_title_says_what_was_analysed() -> None:
    run = make_run()
    named = Run(run.train, run.eval, run.lr, source=Source("runs/a.json", "trainer_state"))
    [title] = read_page(page([("runs/a.json", ftadvise.advise(named))])).all("title")
    assert title.text.startswith("runs/a.json")


@pytest.mark.parametrize(
    "words",
    [
        "Next run", "Stop early", "Expect", "Or keep", "Overfitting", "The run", "Findings", "Why",
        "What early stopping would have done", "How the next run may go", "How sure is this",
        "Configuration", "What was read", "patience 1", "patience 3", "patience 5", "(advised)",
        "normal convergence", "continued improvement", "early convergence", "num_train_epochs",
        "FT201", "Fix:", "onset epoch", f"ftadvise {ftadvise.__version__}", "ftadvise.advice/1",
        "ftadvise analyze runs/a.json --format html",
    ],
)  # fmt: skip
def test_each_part_of_the_answer_is_on_the_page(seen: Page, words: str) -> None:
    assert words in seen.said


def test_every_reason_and_every_finding_is_on_the_page(advice: Advice, seen: Page) -> None:
    assert len(advice.findings) >= 1
    for text in (*advice.reasons, *(f.message for f in advice.findings)):
        assert " ".join(text.split()) in seen.said


def test_the_page_is_data_as_well(advice: Advice, seen: Page) -> None:
    assert seen.data() == json.loads(json.dumps(advice.to_dict()))


def test_the_policy_allows_the_scripts_and_the_style_of_the_page_and_nothing_else(
    html: str, seen: Page
) -> None:
    [meta] = [one for one in seen.all("meta") if "http-equiv" in one.attributes]
    policy = dict(
        part.strip().split(" ", 1) for part in (meta.attributes["content"] or "").split(";")
    )
    scripts = [one.text for one in seen.all("script") if "type" not in one.attributes]
    styles = [one.text for one in seen.all("style")]
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].split() == [hashed(text) for text in scripts]
    assert policy["style-src"].split() == [hashed(text) for text in styles]
    assert "unsafe" not in str(policy)
    assert html.index("Content-Security-Policy") < html.index("<style>")


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_no_element_has_a_style_or_a_handler_or_asks_for_anything(seen: Page) -> None:
    for element in seen.elements:
        for name, value in element.attributes.items():
            assert name != "style"
            assert not name.startswith("on")
            if name in ("src", "href", "action", "data", "srcset"):
                assert value is not None
                assert value.startswith(("#", "data:,")), (element.name, value)


def test_no_script_writes_markup_or_runs_text(html: str) -> None:
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert word not in html, word


def test_the_library_that_it_carries_is_named_and_has_its_licence_with_it(
    html: str, seen: Page
) -> None:
    assert "uPlot 1.6.32 (MIT licence" in seen.said
    assert "(v1.6.32)" in html
    assert "Permission is hereby granted, free of charge" in html


def test_nothing_of_a_log_becomes_markup() -> None:
    advice = hostile()
    told = page([(HOSTILE, advice)], command=f"ftadvise analyze {HOSTILE}")
    seen = read_page(told)
    ordinary = read_page(page([("a", ftadvise.advise(make_run(epochs=4, evals=8, rise=0.4)))]))
    assert seen.wrong == []
    assert len(seen.all("script")) == len(ordinary.all("script"))
    assert not [one for one in seen.elements if "onclick" in one.attributes]
    assert not seen.all("b")
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "<b onclick='x'>" in seen.said  # shown as it is
    assert seen.data()["source"]["path"] == HOSTILE
    data = [one.text for one in seen.all("script") if "type" in one.attributes]
    assert len(data) == 4
    assert not any(sign in text for text in data for sign in "<>&")


def test_headings_have_no_gaps(seen: Page) -> None:
    levels = [int(one.name[1]) for one in seen.elements if re.fullmatch("h[1-6]", one.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_landmarks_headers_and_names_are_there_for_those_who_do_not_see(seen: Page) -> None:
    assert [len(seen.all(name)) for name in ("header", "main", "footer")] == [1, 1, 1]
    assert all("scope" in one.attributes for one in seen.all("th"))
    assert all(one.text.strip() for one in seen.all("button"))
    for drawn in seen.all("svg", "drawn"):
        assert drawn.attributes["role"] == "img"
        assert len(drawn.attributes["aria-label"] or "") > 40


def test_buttons_that_need_a_script_are_hidden_without_one(html: str, seen: Page) -> None:
    def inside(element: Element) -> list[Element]:
        return [element, *(deep for one in element.inside for deep in inside(one))]

    hidden = [e for one in seen.elements if "hidden" in one.attributes for e in inside(one)]
    for button in seen.all("button"):
        assert any(button is one for one in hidden), button


def test_the_chart_marks_what_the_answer_names(advice: Advice, seen: Page) -> None:
    run, following, lengths = seen.charts()
    roles = {one["role"] for one in run["lines"]}
    assert {"judged", "smooth", "train"} <= roles
    [onset] = [one for one in run["uprights"] if one["role"] == "onset"]
    assert onset["x"] == pytest.approx(advice.overfitting.onset_epoch, rel=1e-4)
    assert [onset["low"], onset["high"]] == pytest.approx(advice.overfitting.interval, rel=1e-4)
    [best] = run["dots"]
    assert best["x"] == pytest.approx(advice.observed.best_epoch, rel=1e-4)
    names = " ".join(one["name"] for one in following["lines"])
    for scenario in advice.scenarios:
        assert (scenario.name in names) == (scenario.probability > 0)
    assert [one["x"] for one in lengths["uprights"]] == [advice.num_train_epochs]


def test_a_log_without_an_eval_loss_says_so_and_shows_no_early_stops() -> None:
    seen = read_page(page([("five.json", ftadvise.advise(five_numbers()))]))
    assert "What early stopping would have done" not in seen.said
    assert "Without an eval loss nothing here can show overfitting" in seen.said
    assert len(seen.charts()) == 3


@pytest.mark.parametrize(
    "losses",
    [
        [1.2, 1.1],
        [1.0, 1.0, 1.0],
        [2.0, np.nan, 1.5, 1e9, 1.4],
        [-1.0, -2.0, -2.1, -2.0],
        [0.0, 0.0],
    ],
)
def test_odd_curves_have_a_page_too(losses: list[float]) -> None:
    at = as_floats(np.arange(1.0, len(losses) + 1.0))
    run = Run(eval=Series("eval_loss", as_floats(at * 10), at, as_floats(losses)))
    seen = read_page(page([("odd.json", ftadvise.advise(run))]))
    assert seen.wrong == []
    assert len(seen.all("svg", "drawn")) == len(seen.charts()) >= 1


def test_a_log_without_an_answer_says_why() -> None:
    error = LogError("a.json: no <loss> in it", hint="Log the loss.", code="FT406")
    seen = read_page(page([("a.json", error)]))
    assert "FT406 no <loss> in it" in seen.said
    assert "Log the loss." in seen.said
    assert seen.data()["error"]["code"] == "FT406"
    assert seen.charts() == []


def test_no_answers_are_no_page() -> None:
    with pytest.raises(ValueError, match="at least one"):
        page([])


def long_run(points: int) -> Run:
    rng = np.random.default_rng(0)
    epoch = np.arange(1.0, points + 1.0) * (4.0 / points)
    train = np.exp(-epoch) + 0.5 + 0.1 * rng.standard_normal(points)
    train[points // 3] = 50.0
    few = np.linspace(0.02, 4.0, 200)
    return Run(
        train=Series("loss", as_floats(epoch * 1000), as_floats(epoch), as_floats(train)),
        eval=Series(
            "eval_loss", as_floats(few * 1000), as_floats(few), as_floats(np.exp(-few) + 1)
        ),
    )


def test_a_usual_page_is_small_and_a_long_log_makes_it_little_larger(html: str) -> None:
    assert len(html.encode()) < 150_000
    long = page([("long.csv", ftadvise.advise(long_run(200_000)))])
    assert len(long.encode()) < 250_000
    [train] = [b for b in read_page(long).charts()[0]["bands"] if b["role"] == "train"]
    assert max(train["high"]) == 50.0  # the spike is still there
