from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from made_states import lines_until, rows_until, state_until

from ftadvise.cli import main
from ftadvise.cli.screen import Screen

ROOT = Path(__file__).resolve().parents[2]
FIELDS = {
    "epoch",
    "step",
    "eval_loss",
    "best_eval_loss",
    "forecast",
    "probability_of_improvement",
    "stop",
    "reason",
}

Play = Callable[[Sequence[Callable[[], object]]], None]

pytestmark = pytest.mark.usefixtures("at_root")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "trainer_state.json"


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Let something happen to the log in every pause; after the last one Ctrl-C is pressed."""

    def set_up(scenes: Sequence[Callable[[], object]]) -> None:
        coming: Iterator[Callable[[], object]] = iter(scenes)

        def pause(seconds: float, show: object) -> None:
            scene = next(coming, None)
            if scene is None:
                raise KeyboardInterrupt
            scene()

        monkeypatch.setattr("ftadvise.cli.watch.pause", pause)

    return set_up


def watch(log: Path, *args: str) -> Result:
    return CliRunner().invoke(main, ["watch", str(log), *args])


def writes(log: Path, *steps: int) -> list[Callable[[], object]]:
    return [partial(log.write_text, state_until(step)) for step in steps]


def nothing() -> None:
    pass


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_new_evaluation_is_one_json_object_and_the_planned_end_exits_with_0(
    log: Path, play: Play
) -> None:
    play(writes(log, 50, 60, 90, 300, 300, 330, 480))
    result = watch(log, "--format", "jsonl")
    assert result.exit_code == 0
    told = objects(result)
    assert [one["step"] for one in told if one["target"] == "eval"] == list(range(60, 481, 60))
    assert all(set(one) >= FIELDS for one in told)
    assert told[-1]["eval_loss"] == 1.097
    assert told[-1]["best_eval_loss"] == 1.0077
    assert [one["ended"] for one in told[-3:]] == [None, None, "the planned end is reached"]
    fifth = told[-4]
    assert set(fifth["forecast"]) == {"epoch", "median", "low", "high"}
    assert fifth["forecast"]["low"] < fifth["forecast"]["median"] < fifth["forecast"]["high"]
    assert result.stderr.splitlines()[-1] == "ended: the planned end is reached"


def test_lines_do_not_depend_on_when_the_log_was_looked_at(log: Path, play: Play) -> None:
    def told(steps: Sequence[int]) -> list[dict[str, Any]]:
        log.write_text(state_until(60))
        play(writes(log, *steps))
        found = objects(watch(log, "--format", "jsonl"))
        timed = ("seconds_per_epoch", "seconds_left", "ended")
        return [{k: v for k, v in one.items() if k not in timed} for one in found]

    assert told(range(70, 481, 10)) == told([480])


def test_text_without_a_terminal_is_one_line_an_evaluation(log: Path, play: Play) -> None:
    log.write_text(state_until(300))
    play(writes(log, 310, 360))
    result = watch(log)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first.startswith("epoch 2.5 of 4, step 300, eval loss 1.02, best 1.008 at epoch 2")
    assert "forecast " in first
    assert "go on: a gain of 1 %" in first
    assert second.startswith("epoch 3 of 4, step 360")
    assert "\x1b" not in result.stdout


def test_until_stop_exits_with_1_when_more_training_is_not_expected_to_pay(
    log: Path, play: Play
) -> None:
    def extended(step: int) -> Callable[[], object]:
        state = json.loads(state_until(step)) | {"num_train_epochs": 8, "max_steps": 960}
        return lambda: log.write_text(json.dumps(state))

    play([extended(step) for step in (300, 360, 420, 480)])
    result = watch(log, "--until-stop", "--format", "jsonl")
    assert result.exit_code == 1
    assert [one["stop"] for one in objects(result)] == [False, False, False, True]
    assert result.stderr.splitlines()[-1].startswith("stop: a gain of 1 %")
    play([extended(480)])
    assert watch(log, "--format", "jsonl").exit_code == 0


def test_until_stop_never_stops_a_run_for_its_train_loss(log: Path, play: Play) -> None:
    flat = [{"step": 10 * i, "epoch": 0.1 * i, "loss": 1.0} for i in range(1, 60)]
    log.write_text(json.dumps({"log_history": flat, "num_train_epochs": 10, "max_steps": 1000}))
    play([nothing])
    result = watch(log, "--until-stop", "--format", "jsonl")
    assert result.exit_code == 0
    [one] = objects(result)
    assert one["stop"] is False
    assert one["probability_of_improvement"] is None
    assert one["eval_loss"] is None
    assert one["train_loss"] == 1.0


def test_a_run_that_was_stopped_early_exits_with_0_and_its_reason(log: Path, play: Play) -> None:
    metrics = log.with_name("training_metrics.json")
    stopped = {"reason": "patience ran out", "epoch": 2.0, "step": 240, "policy": "transformers"}
    log.write_text(state_until(180))

    def end() -> None:
        document = {"schema": "ftadvise.metrics/1", "stopped": stopped, "history": rows_until(240)}
        metrics.write_text(json.dumps(document))
        log.write_text(state_until(240))

    play([nothing, end])
    result = watch(log.parent)
    assert result.exit_code == 0
    assert result.stderr == "ended: patience ran out\n"


def test_what_is_half_written_is_never_told(log: Path, play: Play) -> None:
    text = state_until(480)
    scenes = [partial(log.write_text, text[:size]) for size in range(0, len(text), 900)]
    log.write_text(state_until(60))
    play([*scenes, *writes(log, 480)])
    result = watch(log, "--format", "jsonl")
    assert result.exit_code == 0
    assert result.stderr == "ended: the planned end is reached\n"
    assert [one["step"] for one in objects(result)] == list(range(60, 481, 60))


def test_a_log_that_was_started_again_goes_on_with_the_new_run(log: Path, play: Play) -> None:
    path = log.with_name("log.jsonl")
    path.write_text(lines_until(240))

    def again(step: int) -> Callable[[], object]:
        return lambda: path.write_text(lines_until(240) + lines_until(step))

    play([again(30), again(60), again(120)])
    told = objects(watch(path, "--format", "jsonl", "--epochs", "4"))
    evals = [one["step"] for one in told if one["target"] == "eval"]
    assert evals == [240, 60, 120]


def test_a_log_that_does_not_come_is_given_up_after_the_timeout(log: Path, play: Play) -> None:
    play([lambda: time.sleep(0.03)] * 9)
    result = watch(log, "--timeout", "0.02")
    assert result.exit_code == 2
    waiting, error, hint = result.stderr.splitlines()
    assert waiting == f"waiting: {log}: No such file or directory [FT401]"
    assert error == f"error: {log}: No such file or directory [FT401]"
    assert hint == "hint: Waited 0.02 s for it (--timeout)."


def test_a_run_that_died_is_given_up_after_the_timeout(log: Path, play: Play) -> None:
    log.write_text(state_until(240))
    play([lambda: time.sleep(0.03)] * 9)
    result = watch(log, "--timeout", "0.02")
    assert result.exit_code == 2
    assert "nothing more was written [FT410]" in result.stderr


def test_a_run_that_fell_silent_is_told_once(log: Path, play: Play) -> None:
    log.write_text(state_until(240))
    long_ago = time.time() - 7200
    os.utime(log, (long_ago, long_ago))
    play([nothing] * 5)
    assert watch(log).stderr == "silent: nothing was written for long: it may have died or ended\n"


@pytest.mark.parametrize("off", [-7200, 7200])
def test_the_clock_of_another_machine_makes_no_running_training_silent(
    log: Path, play: Play, off: int
) -> None:
    def write(step: int) -> None:
        log.write_text(state_until(step))
        at = time.time() + off
        os.utime(log, (at, at))

    log.write_text(state_until(120))
    play([partial(write, 180), partial(write, 240), nothing])
    result = watch(log)
    assert "silent" not in result.stderr
    assert len(result.stdout.splitlines()) == 3


def test_once_shows_one_picture_and_exits(log: Path) -> None:
    log.write_text(state_until(300, per_step=1.0))
    result = watch(log, "--once", "--price-per-hour", "2.5")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    for part in (
        "Eval loss",
        "Best so far",
        "Forecast",
        "Decision",
        "Time",
        "Cost",
        "○ eval loss",
    ):
        assert part in result.stdout


def test_once_waits_a_moment_for_what_is_half_written_and_no_longer(log: Path) -> None:
    log.write_text(state_until(300)[:-100])
    result = watch(log, "--once")
    assert result.exit_code == 2
    assert "broken JSON" in result.stderr


@pytest.mark.parametrize("option", ["--interval", "--timeout", "--epochs", "--price-per-hour"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "x"])
def test_times_and_prices_are_numbers_above_zero(log: Path, option: str, value: str) -> None:
    result = watch(log, f"{option}={value}", "--once")
    assert result.exit_code == 2
    assert option in result.stderr


def test_strings_of_the_log_cannot_move_the_cursor(tmp_path: Path, play: Play) -> None:
    folder = tmp_path / "run\x1b[2J"
    folder.mkdir()
    stopped = {"reason": "\x1b[31mred\u202e", "step": 120, "epoch": 1.0, "policy": "p"}
    document = {"schema": "ftadvise.metrics/1", "stopped": stopped, "history": rows_until(120)}
    (folder / "training_metrics.json").write_text(json.dumps(document))
    play([])
    for args in (["--once"], [], ["--format", "jsonl"]):
        result = watch(folder, *args)
        assert result.exit_code == 0
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output


@contextlib.contextmanager
def terminal(log: Path, *args: str, **environment: str) -> Generator[tuple[int, int]]:
    """Run a watch on a terminal of 80 by 24; give its process and the other side."""
    import fcntl
    import struct
    import termios

    child, side = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME")}
        kept |= {"PYTHONPATH": str(ROOT / "advisor"), "PYTHONUTF8": "1", "TERM": "xterm"}
        command = [sys.executable, "-m", "ftadvise", "watch", str(log), "--interval", "0.1", *args]
        os.execve(sys.executable, command, kept | environment)
    try:
        yield child, side
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        os.close(side)


def until(side: int, sign: str, seconds: float = 30.0) -> str:
    """Return what comes from a terminal up to a sign, or up to its end."""
    import select

    got, end = "", time.monotonic() + seconds
    while sign not in got and time.monotonic() < end:
        if select.select([side], [], [], 0.1)[0]:
            try:
                part = os.read(side, 65536)
            except OSError:  # Linux: the other side is closed
                break
            got += part.decode(errors="replace")  # a part may end within a letter
    return got


@pytest.mark.filterwarnings("ignore:This process")  # fork in a process with threads
@pytest.mark.parametrize(("ends_by", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_terminal_is_repainted_in_place_and_gets_its_cursor_back(
    log: Path, ends_by: signal.Signals, code: int
) -> None:
    with terminal(log) as (child, side):
        first = until(side, "No such file")
        log.write_text(state_until(240))
        second = until(side, "forecast (90")
        log.write_text(state_until(300))
        third = until(side, "5 evaluations")
        os.kill(child, ends_by)
        last = until(side, "\0", 60.0)  # to its end: a child that nobody reads from would wait
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    assert first.startswith("\x1b[?25l")
    assert re.search(r"\x1b\[\dA", second), "the lines that said it waits are painted over"
    assert "\x1b[1m" in second
    assert "\x1b[?25h" in third + last
    assert "Traceback" not in third + last


def ended(child: int, seconds: float = 20.0) -> int:
    """Return the exit code of a process that has to end by itself."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    raise AssertionError(f"process {child} has not ended")


@pytest.mark.filterwarnings("ignore:This process")
def test_a_terminal_that_takes_nothing_does_not_keep_a_watch_from_ending(log: Path) -> None:
    log.write_text(state_until(240))
    with terminal(log) as (child, side):
        until(side, "forecast (90")
        os.write(side, b"\x13")  # Ctrl-S
        log.write_text(state_until(300))
        time.sleep(1.0)  # ten looks: by now it waits in the middle of a picture
        os.kill(child, signal.SIGTERM)
        assert ended(child) == 143


@pytest.mark.filterwarnings("ignore:This process")
def test_a_watch_that_was_stopped_for_writing_in_the_background_ends_when_it_is_told_to(
    log: Path,
) -> None:
    log.write_text(state_until(240))
    shell = (
        f"stty tostop; set -m; {sys.executable} -m ftadvise watch {log} --interval 0.1 & "
        "wait $!; echo first $?; kill -TERM $!; kill -CONT $!; "
        "for i in {1..100}; do kill -0 $! || break; sleep 0.1; done; wait $!; echo code $? is"
    )
    child, side = pty.fork()
    if child == 0:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME")}
        kept |= {"PYTHONPATH": str(ROOT / "advisor"), "PYTHONUTF8": "1", "TERM": "xterm"}
        os.execve("/bin/bash", ["bash", "-c", shell], kept)
    try:
        said = until(side, " is\r\n", 60.0)
        assert f"first {128 + signal.SIGTTOU}" in said, "it has to be stopped in its first line"
        assert "code 143 is" in said
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(side)


@pytest.mark.filterwarnings("ignore:This process")
def test_no_color_and_a_dumb_terminal_are_respected(log: Path) -> None:
    log.write_text(state_until(480))
    with terminal(log, NO_COLOR="1") as (_, side):
        plain = until(side, "nothing more comes")
    assert "\x1b[1m" not in plain
    assert "\x1b[?25l" in plain
    with terminal(log, TERM="dumb") as (_, side):
        dumb = until(side, "nothing more comes")
    assert "\x1b" not in dumb
    assert "epoch 4 of 4, step 480" in dumb


def test_the_screen_goes_up_as_many_rows_as_the_old_picture_takes_now(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()
    screen.paint(["a" * 70, "b"], 80, 24)
    capsys.readouterr()
    screen.paint(["c", "b"], 80, 24)
    assert "\x1b[2A" in capsys.readouterr().out
    screen.paint(["d" * 70, "b"], 80, 24)
    capsys.readouterr()
    screen.paint(["e", "b"], 40, 24)
    assert "\x1b[3A\x1b[J" in capsys.readouterr().out
    screen.paint(["e", "b"], 40, 24)
    assert capsys.readouterr().out == "", "nothing is sent when nothing has changed"
    screen.paint([str(i) for i in range(50)], 40, 10)
    assert capsys.readouterr().out.count("\n") == 9


WRITER = """
import sys, time
path, text = sys.argv[1], sys.stdin.read()
with open(path, "a") as log:
    for start in range(0, len(text), 211):
        log.write(text[start:start + 211])
        log.flush()
        time.sleep(0.01)
"""


def test_a_log_is_followed_while_another_process_appends_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    args = ["-m", "ftadvise", "watch", str(path), "--interval", "0.05", "--epochs", "4"]
    watcher = subprocess.Popen(
        [sys.executable, *args, "--format", "jsonl", "--timeout", "60"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "advisor")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with watcher:
        writer = [sys.executable, "-c", WRITER, str(path)]
        subprocess.run(writer, input=lines_until(480), text=True, check=True, timeout=60)
        out, err = watcher.communicate(timeout=60)
    assert watcher.returncode == 0, err
    evals = [one["step"] for one in map(json.loads, out.splitlines()) if one["target"] == "eval"]
    assert evals[-1] == 480
    assert all(b - a == 60 for a, b in itertools.pairwise(evals)), "each once, and none left out"
    assert "error" not in err
    assert "trouble" not in err
    assert path.read_text() == lines_until(480)


def test_watch_loads_neither_numpy_nor_a_reader_for_its_help() -> None:
    program = "import sys; import ftadvise.cli.watch; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT / "advisor")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
