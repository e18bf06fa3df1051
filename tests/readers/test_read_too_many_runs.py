"""Logs of more runs than are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ftadvise.readers import read_all

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_runs_beyond_those_that_are_read_are_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftadvise.readers.series.values.MAX_RUNS", 3)
    path = tmp_path / "many.json"
    path.write_text(json.dumps({f"run{i}": {"loss": [2, 1]} for i in range(5)}), encoding="utf-8")
    runs = read_all(path)
    assert len(runs) == 3
    assert all("Read the first 3 tables of 5" in run.notes[-1] for run in runs)
