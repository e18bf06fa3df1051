"""Whatever stands in a file, it ends in runs that hold together or in an error that says why."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from made_damage import (
    GOOD,
    HangError,
    at_most,
    check,
    damaged,
    good_logs,
    read_with,
    readers,
    regressions,
)

from ftadvise.errors import FtadviseError, LogError
from ftadvise.readers import read_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftadvise.run import Run

WITH_LOGS = sorted(folder.name for folder in GOOD.iterdir() if good_logs(folder.name))
ONLY_REFUSE = {"sqlite"}  # readers that say what a file is and never read one
NEEDS = {"parquet": "pyarrow"}
QUICK, THOROUGH = 25, 2000


def survives(what: str, read: Callable[..., list[Run]], *args: Any) -> None:
    """Fail on anything but runs or an error with a message."""
    message = ""
    try:
        read(*args)
    except FtadviseError as error:
        message = error.message
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    assert message.isprintable(), f"{what}: {message!r}"
    assert " failed: " not in message, f"{what}: {message}"


def test_every_reader_of_ours_has_good_logs() -> None:
    ours = {
        name for name, reader in readers().items()
        if reader.read.__module__.startswith(("ftadvise.", "ftadvise_plugins."))
    }  # fmt: skip
    assert ours - ONLY_REFUSE == set(WITH_LOGS)


@pytest.mark.parametrize("name", WITH_LOGS)
def test_each_good_log_is_read_by_its_own_reader(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    for path in good_logs(name):
        runs = read_all(path)
        assert {run.source.format for run in runs} == {name}, path
        for run in runs:
            check(run)


@pytest.mark.parametrize("name", WITH_LOGS)
def test_every_reader_withstands_the_logs_of_all_others(name: str) -> None:
    for path in good_logs(name):
        for other, reader in readers().items():
            survives(f"{other} on {path.name}", read_with, reader, path)


def damage(name: str, count: int, folder: Path) -> None:
    reader, chance = readers()[name], random.Random(name)
    good = good_logs(name)
    for number in range(count):
        path = damaged(good[number % len(good)], chance, folder)
        kept = f"damage {number} of {name}, kept in {folder}"
        survives(kept, read_with, reader, path)
        if number % 10 == 0:
            survives(kept, read_any, path)


def read_any(path: Path) -> list[Run]:
    with at_most(60, path.name):
        return read_all(path)


@pytest.mark.parametrize("name", WITH_LOGS)
def test_a_damaged_log_ends_in_runs_or_in_an_error(tmp_path: Path, name: str) -> None:
    damage(name, QUICK, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", WITH_LOGS)
def test_two_thousand_damaged_logs_end_in_runs_or_in_errors(tmp_path: Path, name: str) -> None:
    damage(name, THOROUGH, tmp_path)


def test_what_once_broke_a_reader_breaks_none() -> None:
    for path in regressions():
        for name, reader in readers().items():
            survives(f"{name} on {path.name}", read_with, reader, path)
        survives(path.name, read_any, path)


def test_a_reader_that_hangs_is_stopped_and_named() -> None:
    with pytest.raises(HangError, match="a nap: not done"), at_most(0.01, "a nap"):
        time.sleep(60)
    with pytest.raises(HangError, match="a loop: not done"), at_most(0.05, "a loop"):
        sum(1 for _ in iter(int, 1))


def test_an_error_with_control_characters_is_noticed() -> None:
    def refuse() -> list[Run]:
        raise LogError("bad\x1b[2J")

    with pytest.raises(AssertionError):
        survives("a message", refuse)
