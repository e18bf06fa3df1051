"""The throughput benchmark runs every variant on a CPU, and compares what is the same."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

FOLDER = Path(__file__).parents[2] / "benchmarks" / "throughput"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("speed_table")


def row(**more: Any) -> dict[str, Any]:
    measured = {"tokens_per_second": 1e5, "median_rate": 1.1e5, "median_step_ms": 12.34}
    known = {"name": "a", "model": "0.5B", "what": "words", "tokens_per_step": 1234.5, "mfu": 0.4}
    return {**known, **measured, "losses": [2.0, 1.0], "tokens": [5, 6], "same": "x"} | more


def test_a_variant_that_failed_stands_in_the_table_with_its_reason(table: Any) -> None:
    lines = table.table([row(), {"name": "b", "model": "7B", "what": "", "error": "no memory"}])
    assert "| 0.5B  | a       |  100,000 | 110,000 | 40.0 % |" in lines[2]
    assert "no memory" in lines[3]
    assert len({len(line) for line in lines}) == 1


def test_losses_are_compared_with_the_first_that_saw_the_same_batches(table: Any) -> None:
    other = row(name="c", same="y")
    (line,) = table.differences([row(), row(name="b", losses=[2.0, 1.001]), other])
    assert line.startswith("losses of b beside a, 2 steps")
    assert "apart by 1.0e-03 at most" in line
    (line,) = table.differences([row(), row(name="b", tokens=[5, 7])])
    assert line.endswith("NOT the same tokens")


@pytest.mark.long
def test_all_variants_run_tiny_and_those_of_the_same_batches_have_the_same_losses(
    tmp_path: Path,
) -> None:
    roots = [str(FOLDER.parents[1] / name) for name in ("advisor", "trainer", "plugins")]
    file = tmp_path / "rows.json"
    subprocess.run(
        [sys.executable, str(FOLDER / "throughput.py"), "--tiny", "--json", str(file)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(roots), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
        check=True,
    )
    rows = {found["name"]: found for found in json.loads(file.read_text())["rows"]}
    failed = {name for name, found in rows.items() if "error" in found}
    assert failed <= {"trl", "trl-flex"}
    losses = [rows[f"same-{name}"]["losses"] for name in ("hf", "unpacked", "packed")]
    for other in losses[1:]:
        assert other == pytest.approx(losses[0], rel=1e-5)
