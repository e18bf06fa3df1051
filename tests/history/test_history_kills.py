"""Writers that are killed lose nothing that was in the file, and break nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from made_histories import kept_in

HERE = Path(__file__).resolve().parent
ADVISOR = HERE.parents[1] / "advisor"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_in(tmp_path, monkeypatch)


def tortured(path: Path, kills: int, seed: int) -> dict[str, Any]:
    program = [sys.executable, str(HERE / "killed_writers.py"), str(path)]
    done = run(
        [*program, "--kills", str(kills), "--seed", str(seed)],
        env={"PYTHONPATH": str(ADVISOR), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def assert_nothing_was_lost(report: dict[str, Any], kills: int) -> None:
    assert report["kills"] == kills
    assert report["told"] >= 1, "the writers were at work"
    for harm in ("lost", "damaged", "errors", "unsound"):
        assert report[harm] == [], harm


def test_ten_kills_of_two_writers_lose_no_row_that_was_told(place: Path) -> None:
    assert_nothing_was_lost(tortured(place, 10, seed=1), 10)


@pytest.mark.long
def test_two_hundred_kills_of_two_writers_lose_no_row_that_was_told(place: Path) -> None:
    assert_nothing_was_lost(tortured(place, 200, seed=2), 200)
