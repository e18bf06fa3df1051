"""The HTML report of several logs: the joint answer, all of them beside each other, each in full."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_pages import Page, read_page
from made_runs import make_run

import ftadvise
from ftadvise.advice import Advice
from ftadvise.errors import FtadviseError, LogError
from ftadvise.reports.html import page
from ftadvise.reports.html.comparing import folder
from ftadvise.run import Source
from ftadvise.together import together

Answers = list[tuple[str, Advice | FtadviseError]]


def advised(path: str, epochs: float, kind: str = "linear") -> Advice:
    run = make_run(epochs=epochs, evals=8, rise=0.3, noise=0.004, kind=kind, seed=int(epochs))
    return ftadvise.advise(replace(run, source=Source(path, "trainer_state")))


@pytest.fixture(scope="module")
def answers() -> Answers:
    error = LogError("runs/broken.json: <nothing> in it", hint="Give another.", code="FT402")
    return [
        ("runs/a.json", advised("runs/a.json", 3)),
        ("runs/broken.json", error),
        ("runs/b.json", advised("runs/b.json", 6, "constant")),
    ]


@pytest.fixture(scope="module")
def seen(answers: Answers) -> Page:
    return read_page(page(answers, command="ftadvise analyze runs/*.json"))


def test_it_is_well_formed_and_the_same_every_time(answers: Answers, seen: Page) -> None:
    assert seen.wrong == []
    assert page(answers) == page(answers)


def test_all_logs_are_rows_of_one_table_an_error_included(seen: Page) -> None:
    [table] = seen.all("table", "compare")
    body = table.text
    for words in ("a.json", "b.json", "broken.json", "FT402 <nothing> in it", "Give another."):
        assert words in body
    assert "data-sortable" in table.attributes


def test_the_folder_that_they_share_is_named_once(seen: Page) -> None:
    assert seen.all("h1")[0].text == "3 logs in runs/"
    assert "2 with advice, 1 without" in seen.said


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["a/b/c.json", "a/b/d.json"], "a/b/"),
        (["a/bc.json", "a/bd/e.json"], "a/"),
        (["a.json", "a.jsonl"], ""),
        (["/x/a", "/x/b"], "/x/"),
        (["runs/a.json"], "runs/"),
        (["a/b", "a/b/c"], "a/"),
    ],
)
def test_the_shared_folder_is_whole(names: list[str], shared: str) -> None:
    assert folder(names) == shared


def test_the_settings_in_which_the_runs_differ_are_named(seen: Page) -> None:
    assert "The runs differ in" in seen.said
    assert "schedule (linear, constant)" in seen.said
    assert "steps an epoch (" not in seen.said  # the same in both


def test_each_run_is_folded_away_with_a_chart_of_its_own(seen: Page) -> None:
    runs = seen.all("details", "run")
    assert [one.attributes["id"] for one in runs] == ["run-1", "run-2"]
    assert not any("open" in one.attributes for one in runs)
    assert len(seen.charts()) == 1 + 2 * 3  # that of all, and three of each
    links = [one.attributes["href"] for one in seen.all("a") if one.text.endswith(".json")]
    assert links == ["#run-1", "#run-2"]


def test_the_curves_of_all_lie_in_one_chart(seen: Page) -> None:
    overlay = seen.charts()[0]
    assert [one["name"] for one in overlay["lines"]] == ["a.json", "b.json"]
    assert len({one["role"] for one in overlay["lines"]}) == 2


def test_the_data_are_those_of_the_json_report(answers: Answers, seen: Page) -> None:
    first, second, third = seen.data()
    assert first["schema"] == third["schema"] == "ftadvise.advice/1"
    assert second["schema"] == "ftadvise.error/1"
    assert first["source"]["path"] == "runs/a.json"


def test_logs_that_all_failed_are_a_page_of_errors() -> None:
    told: Answers = [(f"{n}.json", LogError(f"{n}.json: empty", code="FT402")) for n in "ab"]
    seen = read_page(page(told))
    assert seen.wrong == []
    assert seen.said.count("FT402 empty") == 2
    assert "0 with advice, 2 without" in seen.said
    assert seen.charts() == []


def test_the_joint_answer_stands_first() -> None:
    told: Answers = [(f"{n}.json", advised(f"{n}.json", n)) for n in (3, 6)]
    found = together([one.run for _, one in told if isinstance(one, Advice)])
    assert len(found.runs) == 2
    joint = ftadvise.advise(found.runs[-1], past=found.runs[:-1])
    seen = read_page(page(told, joint=(joint, found)))
    assert seen.wrong == []
    headings = [one.text for one in seen.all("h2")]
    assert headings[0] == "Together: the next run, from 2 logs of one fine-tune"
    assert headings.index("All logs") == 1
    assert seen.data()[-1]["schema"] == "ftadvise.together/1"
    assert len(seen.all("dl", "answer")) == 3


def test_a_page_of_hundreds_of_runs_stays_small_and_says_what_is_left_out() -> None:
    one = advised("runs/a.json", 5)
    told: Answers = [(f"runs/{i}.json", replace_path(one, f"runs/{i}.json")) for i in range(300)]
    html = page(told)
    seen = read_page(html)
    assert len(html.encode()) < 1_200_000
    assert len(seen.all("table", "compare")[0].text.split(".json")) == 301
    assert len(seen.all("details", "run")) == 24
    assert "The first 24 of 300 runs are shown in full." in seen.said
    assert "The first 12 of them have charts of their own." in seen.said
    assert "The data on this page are those of the first 60 logs." in seen.said
    assert len(seen.data()) == 60


def replace_path(advice: Advice, path: str) -> Advice:
    return replace(advice, run=replace(advice.run, source=Source(path, "trainer_state")))
