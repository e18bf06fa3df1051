from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_runs import five_numbers, make_run
from made_states import state_until

import ftadvise
from ftadvise.run import Run, Series
from ftadvise.watching.asides import NOTHING, Asides
from ftadvise.watching.ending import PLANNED, SUMMED_UP, ended
from ftadvise.watching.evaluations import MOST_MISSED, as_of, evaluations_since
from ftadvise.watching.progress import Progress, points_of, progress_of
from ftadvise.watching.status import Status, Watched


def chat(tmp_path: Path, step: int, per_step: float | None = None) -> Run:
    path = tmp_path / "trainer_state.json"
    path.write_text(state_until(step, per_step))
    return ftadvise.read(path)


def cut(run: Run, evaluations: int, train: int) -> Run:
    return replace(
        run, eval=run.eval.take(slice(0, evaluations)), train=run.train.take(slice(0, train))
    )


def test_the_numbers_are_those_of_the_public_functions(tmp_path: Path) -> None:
    run = chat(tmp_path, 300)
    found = progress_of(run)
    assert (found.epoch, found.step, found.points) == (2.5, 300, 5)
    assert found.last is not None
    assert found.best is not None
    assert (found.last.loss, found.best.loss, found.best.epoch) == (1.0203, 1.0077, 2.0)
    assert found.forecast == ftadvise.forecast(run, at=4.0)
    assert found.decision == ftadvise.should_stop(run)


def test_a_forecast_needs_three_losses_and_a_future() -> None:
    run = make_run(evals=10)
    assert progress_of(as_of(run, 2)).forecast is None
    assert progress_of(as_of(run, 3)).forecast is not None
    assert progress_of(run).forecast is None, "the planned end is reached"


def test_without_a_plan_the_forecast_reaches_a_quarter_further() -> None:
    found = progress_of(replace(as_of(make_run(evals=10), 8), planned_epochs=None))
    assert found.forecast is not None
    assert found.forecast.epoch == pytest.approx(1.25 * found.epoch)


def test_a_train_loss_alone_never_decides_to_stop() -> None:
    found = progress_of(five_numbers())
    assert found.target == "train"
    assert found.decision is None
    assert found.best is not None
    assert found.best.loss == 0.0349


def test_an_empty_log_and_losses_that_are_not_finite_are_no_error() -> None:
    assert progress_of(Run()).last is None
    nan = np.array([np.nan, np.nan])
    lost = Run(eval=Series("eval_loss", np.array([1.0, 2.0]), np.array([1.0, 2.0]), nan))
    assert progress_of(lost).target == "train"


def test_the_first_of_two_doubtful_evaluations_says_that_the_next_one_decides(
    tmp_path: Path,
) -> None:
    found = [progress_of(chat(tmp_path, step)) for step in range(60, 481, 60)]
    stops = [one.decision is not None and one.decision.stop for one in found]
    assert any(stops)
    assert [one.wavers for one in found[:-1]] == [
        after and not now for now, after in itertools.pairwise(stops)
    ]


def test_a_long_series_is_thinned_for_drawing_and_keeps_its_last_point() -> None:
    run = make_run(evals=1000)
    points = points_of(run, run.eval, most=100)
    assert len(points) == 100
    assert points[-1].epoch == 5.0
    assert len(points_of(run, run.eval)) == len(points_of(run, run.eval, most=1000)) == 1000
    assert points_of(Run(), Series(), most=1) == []


def test_the_first_look_tells_the_latest_evaluation_and_later_looks_every_new_one() -> None:
    run = make_run(evals=10)
    assert [len(at.eval) for at in evaluations_since(run, None)] == [10]
    assert [len(at.eval) for at in evaluations_since(run, as_of(run, 7))] == [8, 9, 10]
    assert evaluations_since(run, run) == []


def test_a_run_at_an_evaluation_knows_nothing_that_was_logged_after_it() -> None:
    run = make_run(epochs=5, evals=10)
    at = as_of(run, 4)
    assert at.eval.epoch[-1] == 2.0
    assert at.train.epoch[-1] == 2.0
    assert at.lr.epoch[-1] == 2.0


def test_another_run_in_the_same_log_is_told_from_its_latest_evaluation() -> None:
    first, second = make_run(evals=10, seed=1, noise=0.01), make_run(evals=6, seed=2, noise=0.01)
    assert [len(at.eval) for at in evaluations_since(second, first)] == [6]


def test_after_a_long_absence_only_the_latest_evaluations_are_told() -> None:
    run = make_run(evals=200)
    told = evaluations_since(run, as_of(run, 10))
    assert len(told) == MOST_MISSED
    assert len(told[-1].eval) == 200


def test_without_evaluations_a_run_is_told_about_twenty_times() -> None:
    run = replace(make_run(evals=2), eval=Series())
    told: list[Run] = []
    for size in range(1, 51):
        told += evaluations_since(cut(run, 0, size), told[-1] if told else None)
    assert 15 <= len(told) <= 26


def told_of(progress: Progress, beside: Asides = NOTHING, silent: bool = False) -> str | None:
    return ended(progress, beside, silent)


def test_a_run_ends_with_its_last_evaluation_not_with_its_last_train_loss() -> None:
    run = make_run(evals=10)
    waiting = progress_of(cut(run, 9, 50))
    assert waiting.epoch == 5.0
    assert told_of(waiting) is None
    assert told_of(waiting, silent=True) == PLANNED
    assert told_of(progress_of(run)) == PLANNED


def test_no_evaluation_is_waited_for_where_none_is_due() -> None:
    run = make_run(epochs=5, evals=3)
    odd = replace(
        run,
        eval=replace(
            run.eval, epoch=np.array([1.8, 3.6, 4.8]), step=np.array([180.0, 360.0, 480.0])
        ),
    )
    assert told_of(progress_of(cut(odd, 3, 50))) == PLANNED


def test_a_run_that_was_stopped_is_over_and_its_reason_is_told() -> None:
    progress = progress_of(as_of(make_run(evals=10), 6))
    assert told_of(progress) is None
    assert told_of(progress, silent=True) is None
    stopped = replace(NOTHING, stopped="patience ran out", early=True)
    assert told_of(progress, stopped) == "patience ran out"
    assert told_of(progress, replace(NOTHING, summed_up=True)) == SUMMED_UP


def test_the_end_that_is_written_before_the_last_evaluation_is_not_believed_yet() -> None:
    at_end = replace(NOTHING, stopped="planned end")
    assert told_of(progress_of(cut(make_run(evals=10), 9, 50)), at_end) is None
    assert told_of(progress_of(make_run(evals=10)), at_end) == PLANNED


def status(tmp_path: Path, step: int, quiet: float, per_step: float | None = None) -> Status:
    path = tmp_path / "trainer_state.json"
    watched = Watched()
    assert watched.status(0.0) is None
    watched.update(chat(tmp_path, step, per_step), path, 1000.0)
    found = watched.status(quiet)
    assert found is not None
    return found


def test_the_time_left_counts_from_the_last_line_of_the_log(tmp_path: Path) -> None:
    found = status(tmp_path, 240, quiet=20.0, per_step=1.0)
    assert found.pace is not None
    assert found.pace.seconds_per_epoch == pytest.approx(120.0)
    assert found.left == pytest.approx(2 * 120.0 - 20.0)
    assert status(tmp_path, 480, quiet=20.0, per_step=1.0).left is None


def test_a_log_that_grew_once_has_a_time_left(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    watched = Watched()
    watched.update(chat(tmp_path, 120), path, 1000.0)
    watched.update(chat(tmp_path, 240), path, 1060.0)
    found = watched.status(0.0)
    assert found is not None
    assert found.pace is not None
    assert found.pace.source == "growth"
    assert found.left == pytest.approx(120.0)


def test_a_run_that_has_been_quiet_for_long_is_called_silent(tmp_path: Path) -> None:
    assert not status(tmp_path, 240, quiet=100.0, per_step=1.0).silent
    assert status(tmp_path, 240, quiet=130.0, per_step=1.0).silent
