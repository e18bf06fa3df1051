"""Many logs at once: in their order, on all cores, and no log sinks another."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from made_work import deadly, half, stubborn, whose

from ftadvise.cli import main, many
from ftadvise.cli import progress as progress_room
from ftadvise.cli.progress import Progress, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    Shell = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
TWENTY = range(20)


def log(path: Path, seed: int = 0) -> str:
    curve = [2.0 / (x + 1) + 0.01 * ((seed + x) % 7) for x in range(6)]
    path.write_text(json.dumps({"loss": curve, "val_loss": [1.1 * x for x in curve]}))
    return str(path)


def test_results_come_in_the_order_of_the_work_and_its_progress_is_told() -> None:
    ticks: list[int] = []
    assert list(many.each(half, TWENTY, ticks.append)) == [x / 2 for x in TWENTY]
    assert ticks == sorted(ticks)
    assert max(ticks) <= len(TWENTY)


def test_a_process_that_dies_costs_its_own_piece_and_no_other() -> None:
    done = list(many.each(deadly, TWENTY))
    died = {place: one for place, one in enumerate(done) if isinstance(one, many.Died)}
    assert died == {
        3: many.Died("signal 11", killed=False),
        7: many.Died("signal 9", killed=True),
        8: many.Died("exit code 5", killed=False),
    }
    assert [x for x in done if not isinstance(x, many.Died)] == [
        x for x in TWENTY if x not in died
    ]


def test_what_cannot_travel_between_processes_is_made_in_this_one() -> None:
    done = list(many.each(stubborn, TWENTY))
    assert [one() for one in done if not isinstance(one, many.Died)] == list(TWENTY)


def test_few_pieces_start_no_process_and_many_do() -> None:
    assert set(many.each(whose, range(many.FEW))) == {os.getpid()}
    assert os.getpid() not in set(many.each(whose, range(many.FEW + 1)))


def of_this_module(piece: int) -> int:
    return piece


def test_where_no_worker_can_begin_the_work_is_done_here(
    capfd: pytest.CaptureFixture[str],
) -> None:
    of_this_module.__module__ = "nowhere_to_be_found"
    sys.modules["nowhere_to_be_found"] = sys.modules[__name__]
    try:
        assert list(many.each(of_this_module, TWENTY)) == list(TWENTY)
    finally:
        del sys.modules["nowhere_to_be_found"]


def test_a_program_without_a_guard_is_not_run_again_by_each_worker(
    shell: Shell, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from made_work import half\nfrom ftadvise.cli import many\n"
        "print(sum(many.each(half, range(20))))\n"
    )
    paths = os.pathsep.join([str(ROOT / "advisor"), str(ROOT / "tests")])
    done = shell(str(program), PYTHONPATH=paths)
    assert (done.stdout, done.stderr) == ("95.0\n", "")


def test_nobody_is_left_behind_when_the_results_are_no_longer_wanted() -> None:
    results = many.each(half, TWENTY)
    assert next(results) == 0.0
    assert multiprocessing.active_children()
    with contextlib.closing(results):
        pass
    assert not multiprocessing.active_children()


@pytest.mark.usefixtures("at_root")
def test_many_logs_give_what_each_gives_alone_in_their_order(tmp_path: Path) -> None:
    logs = [log(tmp_path / f"{place}.json", place) for place in range(many.FEW + 2)]
    Path(logs[4]).write_text("{]")
    result = CliRunner().invoke(main, ["analyze", *logs, "--format", "jsonl"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 2
    assert [line["source"]["path"] for line in lines] == logs
    assert lines[4]["error"]["code"] == "FT404"
    for place in (4, 9):
        alone = CliRunner().invoke(main, ["analyze", logs[place], "--format", "jsonl"])
        assert json.loads(alone.stdout) == lines[place]


PLUGIN = """
import os, signal
from ftadvise import hookimpl
from ftadvise.readers.source import Reader

def sniff(source):
    if source.head.startswith(b"crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return 0.0

@hookimpl
def register_readers():
    return [Reader("deadly", "dies", sniff, lambda source: [])]
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    """Install a plugin with a reader that crashes hard; return the folder it lies in."""
    place = tmp_path / "site"
    info = place / "deadly-1.0.dist-info"
    info.mkdir(parents=True)
    (place / "deadly_reader.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ftadvise]\ndeadly = deadly_reader\n")
    return str(place)


def in_shell(shell: Shell, plugin: str, *args: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([plugin, str(ROOT / "advisor")])
    return shell("-m", "ftadvise", "analyze", *args, PYTHONPATH=paths)


def test_a_log_on_which_a_reader_crashes_hard_is_an_error_of_its_own(
    shell: Shell, plugin: str, tmp_path: Path
) -> None:
    logs = [log(tmp_path / f"{place}.json", place) for place in range(12)]
    Path(logs[5]).write_text("crash")
    done = in_shell(shell, plugin, *logs, "--format", "jsonl")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2
    assert [line["source"]["path"] for line in lines] == logs
    assert [line["schema"] == "ftadvise.advice/1" for line in lines] == [True] * 5 + [False] + [
        True
    ] * 6
    assert lines[5]["error"]["message"].endswith("the process that read it died (signal 11)")
    assert done.stderr == "error: 1 of 12 logs gave no advice\n"
    folder = in_shell(shell, plugin, str(tmp_path), "--all", "--format", "jsonl")
    assert folder.stdout.count("ftadvise.advice/1") == 11
    assert folder.stdout.count("died (signal 11)") == 1


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def test_ctrl_c_ends_at_once_without_a_traceback_and_leaves_no_process(tmp_path: Path) -> None:
    logs = [log(tmp_path / f"{place}.json", place) for place in range(400)]
    paths = os.pathsep.join([str(ROOT / "advisor"), str(ROOT / "plugins")])
    with subprocess.Popen(
        [sys.executable, "-m", "ftadvise", "analyze", *logs, "--format", "jsonl"],
        env={**os.environ, "PYTHONPATH": paths, "FTADVISE_NO_PLUGINS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(b'{"schema"')
        workers = children(child.pid)
        os.killpg(child.pid, signal.SIGINT)
        code = child.wait(timeout=30)
        told = child.stderr.read()
        rest = child.stdout.read()
    assert code == 130
    assert told.strip() == b""
    assert rest.count(b"\n") < len(logs) - 1
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.long
@pytest.mark.usefixtures("at_root")
def test_one_bad_file_among_a_thousand_sinks_none_of_the_others(tmp_path: Path) -> None:
    logs = [log(tmp_path / f"{place:04}.json", place) for place in range(1000)]
    Path(logs[500]).write_text("{]")
    result = CliRunner().invoke(main, ["analyze", *logs, "--format", "jsonl"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 2
    assert [line["source"]["path"] for line in lines] == logs
    assert [place for place, line in enumerate(lines) if "error" in line] == [500]
    losses = [2.0 / 6 + 0.01 * ((place + 5) % 7) for place in range(1000)]
    for place in {*range(1000)} - {500}:
        last = lines[place]["observed"]["last_eval_loss"]
        assert last == pytest.approx(1.1 * losses[place])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal(), True), (io.StringIO(), False)])
def test_progress_is_one_line_on_a_terminal_that_goes_again(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, shown: bool
) -> None:
    now = [0.0]

    def clock() -> float:
        return now[0]

    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress("analyzing", 9)
    told: list[Any] = []
    for now[0] in (0.5, 1.9, 2.1, 2.15, 3.0):
        progress.at(int(10 * now[0]))
        told.append(stream.getvalue())
    progress.clear()
    progress.clear()
    if not shown:
        assert stream.getvalue() == ""
        return
    assert told[1] == ""
    assert stream.getvalue() == (
        "\ranalyzing logs: 21 of 9\x1b[K\ranalyzing logs: 30 of 9\x1b[K\r\x1b[K"
    )


@pytest.mark.parametrize("long", [True, False])
def test_a_log_that_takes_long_to_read_is_named_on_the_terminal_meanwhile(
    monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress_room, "AFTER", 0.0 if long else 60.0)
    with waiting("reading big.jsonl"):
        while long and not stream.getvalue():
            time.sleep(0.001)
    assert stream.getvalue() == ("\rreading big.jsonl\x1b[K\r\x1b[K" if long else "")
