"""Files that are cut off, appended to, hostile or no logs at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_damage import at_most, check
from made_hostile import hostile

from ftadvise.errors import FtadviseError, LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.json_logs.documents import parse
from ftadvise.readers.source import Source

FIRST = '{\r\n  "epoch": 1,\r\n  "loss": 2.0\r\n}'
SECOND = '{\r\n  "epoch": 2,\r\n  "loss": 1.0\r\n}'


def write(tmp_path: Path, content: str | bytes, name: str = "log.json") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def code_of(path: Path) -> str:
    with pytest.raises(LogError) as caught:
        read(path)
    return caught.value.code


@pytest.mark.parametrize("between", ["", "\n", ",\r\n", " , "])
@pytest.mark.parametrize("after", ["", ",\n"])
def test_documents_appended_to_one_file_are_rows(tmp_path: Path, between: str, after: str) -> None:
    run = read(write(tmp_path, FIRST + between + SECOND + after))
    assert run.train.loss.tolist() == [2, 1]


def test_arrays_appended_to_one_file_are_joined(tmp_path: Path) -> None:
    run = read(write(tmp_path, f"[{FIRST}][{SECOND}]"))
    assert run.train.epoch.tolist() == [1, 2]


def test_lines_that_are_no_json_are_skipped_and_counted(tmp_path: Path) -> None:
    lines = ['{"step": 1, "loss": 2}', "// restarted", '{"step": 2, "lo', '{"step": 3, "loss": 1}']
    run = read(write(tmp_path, "\n".join(lines)))
    assert run.train.step.tolist() == [1, 3]
    assert "2 lines are no JSON and skipped, the first is line 2." in run.notes


def test_a_last_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    run = read(write(tmp_path, '{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n{"step": 3, "lo'))
    assert run.train.step.tolist() == [1, 2]
    assert any("line 3" in note for note in run.notes)


def test_a_document_that_is_cut_off_says_where(tmp_path: Path) -> None:
    path = write(tmp_path, '{\n    "Training Loss": ')
    with pytest.raises(LogError, match=r"line 2, column 2\d: it ends in the middle") as caught:
        read(path)
    assert caught.value.code == "FT404"


def test_a_document_cut_off_inside_a_name_says_so(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="line 2, column 1: it ends in the middle"):
        read(write(tmp_path, '{"loss": [2, 1],\n"val_lo'))


def test_a_document_among_text_is_found(tmp_path: Path) -> None:
    run = read(
        write(tmp_path, '\n{"train_loss": [2, 1]}\n\nTesting accuracy: 48%\n', "config.txt")
    )
    assert run.train.loss.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "FT402"),
        (" \n", "FT402"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "FT403"),
        ("[" * 100_000, "FT404"),
        ('{"a":' * 100_000, "FT404"),
        ("not a log", "FT404"),
        (b"\x00\xff\xfe\x80" * 100, "FT404"),
        ("{}", "FT405"),
        ("[]", "FT405"),
        ('{"loss": []}', "FT405"),
        ('"text"', "FT404"),
    ],
)
def test_what_is_no_log_is_refused_with_its_code(
    tmp_path: Path, content: str | bytes, code: str
) -> None:
    assert code_of(write(tmp_path, content)) == code


def test_numbers_beyond_all_range_are_non_finite(tmp_path: Path) -> None:
    run = read(write(tmp_path, '{"loss": [' + "9" * 5000 + ", 1" + "0" * 350 + ", 1e999, 2]}"))
    assert run.nonfinite == {"loss": 3}
    assert run.train.loss[3] == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert code_of(tmp_path / "none.json") == "FT401"
    assert code_of(Path(f"{tmp_path}/\0")) == "FT401"


def test_a_pipe_is_refused_without_reading_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.json")
    assert code_of(tmp_path / "log.json") == "FT408"


def test_names_from_a_log_cannot_move_the_cursor(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"acc\x1b[2J\u202e\x07": [1, 2], "f1\n\nError: ok": [1, 2]}))
    with pytest.raises(LogError) as caught:
        read(path)
    assert "acc, f1 Error: ok" in caught.value.message
    assert caught.value.message.isprintable()


def test_utf16_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    text = '{"loss": [2, 1]}'
    assert len(read(write(tmp_path, text.encode("utf-16"))).train) == 2
    assert len(read(write(tmp_path, text.encode("utf-8-sig"))).train) == 2


def test_the_parse_is_done_once_for_all_readers(tmp_path: Path) -> None:
    source = Source(write(tmp_path, '{"loss": [2, 1]}'))
    assert parse(source) is parse(source)
    broken = Source(write(tmp_path, '{"loss": [2, 1'))
    errors: list[LogError] = []
    for _ in range(2):
        with pytest.raises(LogError) as caught:
            parse(broken)
        errors.append(caught.value)
    assert errors[0] is errors[1]


def test_many_documents_on_one_line_and_many_broken_lines_take_linear_time(tmp_path: Path) -> None:
    assert code_of(write(tmp_path, "{}" * 200_000)) == "FT405"
    assert code_of(write(tmp_path, '{"\n' * 200_000)) == "FT404"


def test_an_empty_path_is_refused_and_not_taken_for_the_folder_at_hand() -> None:
    with pytest.raises(LogError, match="empty") as caught:
        read("")
    assert caught.value.code == "FT401"


def test_a_log_with_the_newest_row_first_is_one_run_and_not_many(tmp_path: Path) -> None:
    rows = {"epoch": [4, 3, 2, 1], "loss": [1.2, 1.5, 2.0, 3.0]}
    run = read(write(tmp_path, json.dumps(rows)))
    assert run.train.loss.tolist() == [3.0, 2.0, 1.5, 1.2]


HOSTILE = hostile()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_runs_or_in_an_error(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, HOSTILE[name])
    message = ""
    try:
        with at_most(5, name):
            runs = read_all(path)
        for run in runs:
            check(run)
    except FtadviseError as error:
        message = error.message
    assert message.isprintable()
    assert " failed: " not in message


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
def test_hostile_files_take_little_memory(tmp_path: Path) -> None:
    for number, content in enumerate(HOSTILE.values()):
        write(tmp_path, content, f"{number}.log")
    program = """
import pathlib, re, sys
from ftadvise.errors import FtadviseError
from ftadvise.readers import read_all
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        read_all(path)
    except FtadviseError:
        pass
    # Not ru_maxrss: a process that is started begins with the peak of the one that starts it.
    status = pathlib.Path("/proc/self/status").read_text()
    taken = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024
    assert taken < 300, f"{path.name}: {taken:.0f} MB"
"""
    arguments = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    names = [f"{number}: {name}" for number, name in enumerate(HOSTILE)]
    assert done.returncode == 0, f"{done.stderr[-500:]} of {names}"


def test_what_is_left_of_a_hostile_file_is_read(tmp_path: Path) -> None:
    def lengths(name: str) -> list[int]:
        runs = read_all(write(tmp_path, HOSTILE[name]))
        return [len(run.train) for run in runs if run.source.format == "json_history"]

    assert lengths("UTF-16 with a mark") == [2000]
    assert lengths("two marks") == [2000]
    assert lengths("NUL bytes after rows") == [2000]
    assert lengths("blank lines") == [2]
    assert lengths("a name of 100,000 letters") == [2]
    assert lengths("rows on one line") == [10_000]


def test_of_a_name_that_stands_twice_the_last_one_counts(tmp_path: Path) -> None:
    run = read(write(tmp_path, '{"loss": [9, 9], "loss": [2, 1]}'))
    assert run.train.loss.tolist() == [2, 1]
