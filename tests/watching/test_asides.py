from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_states import rows_until, state_until

import ftadvise
from ftadvise.watching.asides import asides
from ftadvise.watching.pace import Growth, Pace, is_silent, pace_of_log, usual_silence


def pace_in(path: Path, rows: object) -> Pace | None:
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    run = ftadvise.read(path)
    return pace_of_log(asides(path, run), run.steps_per_epoch)


def rows(times: list[Any], key: str = "timestamp") -> list[dict[str, Any]]:
    return [
        {"step": 10 * (i + 1), "epoch": 0.1 * (i + 1), "loss": 2.0 - 0.1 * i, key: time}
        for i, time in enumerate(times)
    ]


@pytest.mark.parametrize(
    ("key", "times"),
    [
        ("train_runtime", [5.0, 10.0, 15.0, 20.0]),
        ("timestamp", [1.7e9, 1.7e9 + 5, 1.7e9 + 10, 1.7e9 + 15]),
        ("timestamp", [1.7e12, 1.7e12 + 5e3, 1.7e12 + 10e3, 1.7e12 + 15e3]),
        ("time", ["2026-11-23T10:00:00", "2026-11-23T10:00:05Z", "2026-11-23 10:00:10"]),
        ("elapsed_time", ["0:00:05", "0:00:10", "0:00:15"]),
        ("elapsed_time", ["1 day, 23:59:55", "2 days, 0:00:00", "2 days, 0:00:05"]),
    ],
)
def test_the_pace_comes_from_the_times_in_the_log(
    tmp_path: Path, key: str, times: list[Any]
) -> None:
    pace = pace_in(tmp_path / "log.json", rows(times, key))
    assert pace is not None
    assert pace.source == "log"
    assert pace.seconds_per_epoch == pytest.approx(50.0)
    assert pace.silence == pytest.approx(5.0)


def test_tokens_and_their_speed_give_the_time_where_nothing_else_does(tmp_path: Path) -> None:
    document = {
        "schema": "ftadvise.metrics/1",
        "history": [
            {**row, "tokens": 1000 * (i + 1), "tokens_per_second": 200.0}
            for i, row in enumerate(rows([None] * 4))
        ],
    }
    path = tmp_path / "training_metrics.json"
    pace = pace_in(path, document)
    assert pace is not None
    assert pace.seconds_per_epoch == pytest.approx(50.0)
    assert asides(path, ftadvise.read(path)).tokens == 4000


@pytest.mark.parametrize(
    "times",
    [[0.5, 0.6, 0.7, 0.9], [3.0, 2.0, 1.0, 0.5], [5.0, 5.0, 5.0], ["a", "b", "c"], [9, 10]],
)
def test_what_is_no_clock_gives_no_pace(tmp_path: Path, times: list[Any]) -> None:
    assert pace_in(tmp_path / "log.json", rows(times, "time")) is None


def test_the_recent_half_of_the_log_sets_the_pace(tmp_path: Path) -> None:
    slow_start = [100.0, 200.0, 205.0, 210.0, 215.0]
    pace = pace_in(tmp_path / "log.json", rows(slow_start, "train_runtime"))
    assert pace is not None
    assert pace.seconds_per_epoch == pytest.approx(50.0)


def test_a_resumed_run_has_the_pace_since_it_was_resumed(tmp_path: Path) -> None:
    resumed = [5.0, 10.0, 15.0, 2.0, 4.0, 6.0]
    pace = pace_in(tmp_path / "log.json", rows(resumed, "train_runtime"))
    assert pace is not None
    assert pace.seconds_per_epoch == pytest.approx(20.0)


def test_why_a_run_stopped_is_read_from_the_metrics_beside_its_state_and_cleaned(
    tmp_path: Path,
) -> None:
    state, metrics = tmp_path / "trainer_state.json", tmp_path / "training_metrics.json"
    state.write_text(state_until(240))
    stopped = {"reason": "patience\x1b[2J ran\nout", "epoch": 2.0, "step": 240, "policy": "p"}
    document = {"schema": "ftadvise.metrics/1", "stopped": stopped, "history": rows_until(240)}
    metrics.write_text(json.dumps(document))
    run = ftadvise.read(state)
    for log in (state, metrics):
        found = asides(log, run)
        assert found.stopped == "patience ran out"
        assert found.early
    stopped["step"] = 120
    metrics.write_text(json.dumps(document))
    assert asides(state, run).stopped is None, "it is of an earlier run in the same folder"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "nonsense", '{"history": [1, 2]}', '{"stopped": 3, "history": []}']
)
def test_a_log_without_anything_beside_the_losses_is_no_error(tmp_path: Path, text: str) -> None:
    log = tmp_path / "training_metrics.json"
    log.write_text(text)
    found = asides(log, ftadvise.read("examples/chat/trainer_state.json"))
    assert found.stopped is None
    assert not found.seconds.size
    assert asides(tmp_path / "gone.json", ftadvise.Run()).tokens is None


def test_the_pace_of_a_log_without_times_is_how_it_grew() -> None:
    growth = Growth()
    assert growth.pace() is None
    growth.note(1000.0, 1.0)
    assert growth.pace() is None
    growth.note(1000.0, 1.5)  # within one tick of the clock of the files
    growth.note(1030.0, 1.5)
    pace = growth.pace()
    assert pace is not None
    assert pace.source == "growth"
    assert pace.seconds_per_epoch == pytest.approx(60.0)
    growth.note(2000.0, 0.1)
    assert growth.pace() is None, "a new run has a pace of its own"


def test_a_watch_of_a_month_remembers_no_more_than_a_watch_of_a_day() -> None:
    growth = Growth()
    for i in range(10_000):
        growth.note(60.0 * i, 0.01 * i)
    pace = growth.pace()
    assert pace is not None
    assert pace.rows <= 64
    assert pace.seconds_per_epoch == pytest.approx(6000.0)


def test_a_run_is_silent_after_three_times_its_longest_usual_pause() -> None:
    log = Pace(100.0, "log", 600.0, 10)
    assert usual_silence(log, None, at_saves=False) == 600.0
    assert is_silent(1801.0, 600.0)
    assert not is_silent(1799.0, 600.0)
    assert not is_silent(100.0, 1.0), "a short pause is no death, however fast the log is"


def test_rows_say_nothing_about_the_pauses_of_a_log_that_is_written_with_the_checkpoints() -> None:
    log = Pace(100.0, "log", 10.0, 100)
    assert usual_silence(log, None, at_saves=True) is None
    assert not is_silent(1700.0, None)
    few, many = Pace(100.0, "growth", 20.0, 3), Pace(100.0, "growth", 20.0, 8)
    assert usual_silence(None, few, at_saves=True) is None
    assert usual_silence(None, many, at_saves=True) == 20.0
    assert usual_silence(log, replace(few, silence=50.0), at_saves=False) == 50.0


def test_times_are_rising_and_known_where_a_row_has_them(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state_until(240, per_step=0.5))
    found = asides(path, ftadvise.read(path))
    assert found.seconds.size == 24
    assert (np.diff(found.seconds) > 0).all()
    assert found.seconds[-1] == pytest.approx(0.5 * found.step[-1])


def test_of_a_long_log_the_end_is_read_for_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    slow = rows([100.0 * i for i in range(100)])
    fast = [{**row, "step": row["step"] + 1000, "epoch": row["epoch"] + 10, "timestamp": 1e4 + i}
            for i, row in enumerate(slow)]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in slow + fast)
    monkeypatch.setattr("ftadvise.watching.asides.TAIL_BYTES", 2000)
    pace = pace_in(path, text)
    assert pace is not None
    assert pace.seconds_per_epoch == pytest.approx(10.0)
    pace = pace_in(tmp_path / "state.json", json.dumps({"log_history": slow}, indent=1))
    assert pace is not None, "a long document that is no JSON Lines is read as a whole"
    assert pace.seconds_per_epoch == pytest.approx(1000.0)
