from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import five_numbers, make_run
from made_states import state_until

import ftadvise
from ftadvise.errors import LogError
from ftadvise.reports import jsonout
from ftadvise.reports.curves import FRAME, Picture, draw
from ftadvise.reports.style import Style
from ftadvise.reports.watching import as_dict, line, picture, waiting
from ftadvise.reports.watching_words import duration, money
from ftadvise.run import Run
from ftadvise.watching.asides import asides
from ftadvise.watching.evaluations import as_of
from ftadvise.watching.pace import Pace
from ftadvise.watching.progress import progress_of
from ftadvise.watching.status import Status, Watched

Golden = Callable[[str, str], None]

PACE = Pace(840.0, "log", 60.0, 30)
BROKEN = LogError("out/trainer_state.json: broken JSON at line 3, column 1: it ends")


def status_of(run: Run, **changes: object) -> Status:
    """Return the status of a run at which somebody looked 12 seconds after its last row."""
    progress = progress_of(run)
    made = Status(
        file=Path("out/trainer_state.json"),
        progress=progress,
        pace=PACE,
        quiet=12.0,
        usual=60.0,
        silent=False,
        left=PACE.seconds_per_epoch * ((run.planned_epochs or progress.epoch) - progress.epoch),
        tokens=1_234_567.0,
        ended=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def chat(tmp_path: Path) -> Run:
    log = tmp_path / "trainer_state.json"
    log.write_text(state_until(300))
    return ftadvise.read(log)


def test_the_picture_of_a_run_in_progress(chat: Run, golden: Golden) -> None:
    golden("watch.txt", "\n".join(picture(status_of(chat), price=2.5)) + "\n")


def test_the_picture_in_forty_columns_of_ascii(chat: Run, golden: Golden) -> None:
    lines = picture(status_of(chat), 40, ascii_only=True, trouble=BROKEN)
    golden("watch-40-ascii.txt", "\n".join(lines) + "\n")
    assert max(map(len, lines)) <= 40
    assert "".join(lines).isascii()


def test_the_picture_of_a_run_that_was_stopped(tmp_path: Path, golden: Golden) -> None:
    log = tmp_path / "trainer_state.json"
    log.write_text(state_until(420))
    ended = status_of(ftadvise.read(log), ended="patience ran out", left=None, quiet=7200.0)
    golden("watch-ended.txt", "\n".join(picture(ended)) + "\n")


def test_the_picture_of_a_log_without_eval_loss_plan_or_times(golden: Golden) -> None:
    bare = status_of(five_numbers(), pace=None, left=None, tokens=None, silent=True, quiet=4000.0)
    golden("watch-bare.txt", "\n".join(picture(bare, price=1.0)) + "\n")


@pytest.mark.parametrize("height", range(5, 40))
def test_the_picture_fits_the_terminal_or_leaves_the_chart_out(chat: Run, height: int) -> None:
    lines = picture(status_of(chat), 80, height)
    has_chart = any("┤" in one for one in lines)
    assert has_chart == (height >= 17)
    assert not has_chart or len(lines) <= height


@pytest.mark.parametrize("evaluations", range(8))
def test_a_run_has_a_picture_a_line_and_an_object_from_its_beginning(evaluations: int) -> None:
    run = make_run(evals=10)
    run = as_of(run, evaluations) if evaluations else replace(run, eval=run.eval.take(slice(0, 0)))
    status = status_of(run)
    assert all(len(one) <= 80 for one in picture(status))
    assert line(status, status.progress)
    found = json.loads(jsonout.dumps(as_dict(status, status.progress)))
    assert found["schema"] == "ftadvise.progress/1"
    assert (found["forecast"] is None) == (evaluations < 3)


def test_an_empty_run_has_a_picture_too() -> None:
    status = status_of(Run(), pace=None, left=None)
    assert picture(status)
    assert as_dict(status, status.progress)["epoch"] is None


def test_a_decision_to_stop_is_red_and_says_why(tmp_path: Path) -> None:
    log = tmp_path / "trainer_state.json"
    log.write_text(
        json.dumps(json.loads(state_until(480)) | {"num_train_epochs": 8, "max_steps": 960})
    )
    text = "\n".join(picture(status_of(ftadvise.read(log)), style=Style(True)))
    assert "\x1b[31mstop: a gain of 1 % has a chance of" in text


def test_cost_and_tokens_are_shown_when_a_price_is_given(chat: Run) -> None:
    assert "Cost" not in "\n".join(picture(status_of(chat)))
    text = " ".join("\n".join(picture(status_of(chat), price=3.0)).split())
    # 2.5 epochs of 840 s at 3 an hour, and 1.5 more
    assert "about 1.75 so far, 1.05 more to the planned end, 3.00 an hour" in text
    assert "1,234,567 tokens of 1,975,307" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.0312, "0.031 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (86400 * 2.5, "2 d 12 h"),
    ],
)
def test_a_time_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_small_amounts_of_money_are_not_nothing() -> None:
    assert [money(x) for x in (0.0, 0.00312, 2.0, 12345.678)] == [
        "0.00",
        "0.0031",
        "2.00",
        "12,345.68",
    ]


def test_what_is_waited_for_is_named_and_cleaned() -> None:
    error = LogError("a\x1b[2Jb: No such file or directory", code="FT401")
    assert waiting("a\x1b[2Jb", error, 75.0) == [
        "ab",
        "waiting for 1 min 15 s: No such file or directory [FT401]",
    ]
    assert waiting("x", None, 1.0)[1] == "waiting for 1 s: no loss in it yet"


def test_the_chart_reaches_to_the_planned_end_and_starts_with_one_evaluation() -> None:
    lines = draw(
        Picture([(1.0, 2.0)], "eval loss", train=[(0.5, 2.5), (1.0, 2.1)], end=4.0), 60, 8
    )
    assert len(lines) == 8 + FRAME
    assert lines[-2].rstrip().endswith("4")
    assert draw(Picture([], "eval loss"), 60, 8) == []
    before_training = Picture([(0.0, 2.0)], "eval loss", train=[(0.0, 2.5)])
    assert len(draw(before_training, 60, 8)) == 8 + FRAME
    assert draw(Picture([(1.0, 2.0)], "eval loss"), 60, 8) == []


def test_the_status_of_a_log_on_disk_has_its_time_and_tokens(tmp_path: Path) -> None:
    log = tmp_path / "trainer_state.json"
    log.write_text(state_until(300, per_step=7.0))
    watched = Watched()
    run = ftadvise.read(log)
    watched.update(run, log, log.stat().st_mtime)
    found = watched.status(12.0)
    assert found is not None
    assert found.pace is not None
    assert "14 min per epoch, 20 min 48 s left to epoch 4 (by the times in the log)" in " ".join(
        "\n".join(picture(found)).split()
    )
    assert asides(log, run).tokens is None


def test_the_page_shows_the_picture_as_it_is(chat: Run) -> None:
    page = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8")
    shown = page.split("```\nout/")[1].split("\n```")[0]
    assert "\n".join(picture(status_of(chat), height=5)) == f"out/{shown}"


def test_losses_whose_ratio_overflows_are_drawn_all_the_same() -> None:
    wild = Picture([(1.0, 1e300), (2.0, 1e-300), (3.0, 1.0)], "eval loss", best=(2.0, 1e-300))
    assert len(draw(wild, 60, 8)) == 8 + FRAME
