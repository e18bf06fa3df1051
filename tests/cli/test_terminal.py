from __future__ import annotations

import os
import pty
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Shell = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
CHAT = "examples/chat/trainer_state.json"


def on_terminal(columns: int, **environment: str) -> str:
    """Return what `ftadvise analyze` writes on a terminal of so many columns."""
    import fcntl
    import struct
    import termios

    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.chdir(ROOT)
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME")}
        kept |= {"PYTHONPATH": str(ROOT / "advisor"), "PYTHONUTF8": "1", "TERM": "xterm"}
        command = [sys.executable, "-m", "ftadvise", "analyze", CHAT]
        os.execve(sys.executable, command, kept | environment)
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux: the other side is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(terminal)
    os.waitpid(child, 0)
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.mark.filterwarnings("ignore:This process")  # fork in a process with threads
def test_a_terminal_gets_colours_and_its_own_width() -> None:
    wide = on_terminal(200)
    assert "\x1b[1m" in wide
    plain = on_terminal(50, NO_COLOR="1")
    assert "\x1b" not in plain
    assert 40 < max(map(len, plain.splitlines())) <= 50
    assert "\x1b" not in on_terminal(60, TERM="dumb")


@pytest.mark.filterwarnings("ignore:This process")
def test_a_very_wide_terminal_gets_at_most_a_hundred_columns() -> None:
    assert max(map(len, on_terminal(300, NO_COLOR="1").splitlines())) <= 100


def test_a_pipe_gets_eighty_columns_and_no_colour(shell: Shell) -> None:
    done = shell("-m", "ftadvise", "analyze", CHAT)
    assert "\x1b" not in done.stdout
    assert 70 < max(map(len, done.stdout.splitlines())) <= 80


def test_a_pipe_gets_colour_when_it_is_forced(shell: Shell) -> None:
    assert "\x1b[1m" in shell("-m", "ftadvise", "analyze", CHAT, FORCE_COLOR="1").stdout


def test_a_closed_pipe_ends_without_a_message(shell: Shell) -> None:
    program = """
import subprocess, sys
args = [sys.executable, "-m", "ftadvise", "analyze", "examples/chat", "--format", "jsonl"] + sys.argv[1:]
with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
    child.stdout.close()
    print(child.stderr.read())
"""
    done = shell("-c", program, *["examples/chat"] * 3)
    assert done.stdout == "b''\n"


def test_text_reaches_a_stdout_that_is_not_utf_8(shell: Shell) -> None:
    args = ("-m", "ftadvise", "analyze", "examples/chat")
    done = shell(*args, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_the_module_runs_as_a_command(shell: Shell) -> None:
    done = shell("-m", "ftadvise", "analize")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("where", "said"),
    [(">&-", "there is no standard output"), (">/dev/full", "No space left on device")],
)
def test_a_stdout_that_takes_nothing_is_said_in_one_line(
    shell: Shell, where: str, said: str
) -> None:
    program = f"import os, sys; sys.exit(os.system('{sys.executable} -m ftadvise analyze {CHAT} {where}') >> 8)"
    done = shell("-c", program)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [next(iter(done.stderr.splitlines()))]
    assert done.stderr.startswith("error: cannot write")
    assert said in done.stderr


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_takes_nothing_changes_neither_the_answer_nor_the_exit_code(
    shell: Shell, where: str
) -> None:
    program = f"import os, sys; sys.exit(os.system('{sys.executable} -m ftadvise analyze ' + sys.argv[1]) >> 8)"
    done = shell("-c", program, f"{CHAT} --format concise {where}")
    assert done.returncode == 0
    assert "FT201" in done.stdout
    assert shell("-c", program, f"no-such-log {where}").returncode == 2


@pytest.mark.parametrize("form", ["html", "junit"])
def test_what_says_that_it_is_utf_8_is_utf_8_in_every_locale(
    shell: Shell, tmp_path: Path, form: str
) -> None:
    log = tmp_path / "Bücher.json"
    log.write_bytes((ROOT / CHAT).read_bytes())
    args = ("-m", "ftadvise", "analyze", str(log), "--format", form)
    done = shell(*args, PYTHONIOENCODING="latin-1")  # what comes back is read as UTF-8
    assert done.returncode == 0, done.stderr
    assert "Bücher.json" in done.stdout


def test_a_full_disk_leaves_the_old_report_as_it_was(shell: Shell, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("old")
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sys.argv[1:] = ["analyze", "examples/chat", "-o", sys.argv[1]]
from ftadvise.cli import main
main()
"""
    done = shell("-c", program, str(report))
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write ")
    assert report.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
