"""What a command costs, next to the cheapest program that could do the same.

    pytest benchmarks/test_startup.py --benchmark-json=startup.json
    python benchmarks/ratios.py startup.json

The times are CPU times of child processes, which a busy machine changes less than the clock.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAIN = "import sys; sys.argv[0] = 'ftadvise'; from ftadvise.cli import main; main()"


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


pytestmark = pytest.mark.benchmark(timer=_cpu_of_children)


def _measure(benchmark: Any, *args: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "advisor")}
    kwargs = {"env": environment, "check": True, "capture_output": True}
    command = [sys.executable, *args]
    benchmark.pedantic(subprocess.run, (command,), kwargs, rounds=15, warmup_rounds=1)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a log of 500 train losses and 25 eval losses."""
    rng = random.Random(0)
    rows: list[dict[str, float]] = []
    for step in range(10, 5001, 10):
        epoch = step / 1000
        loss = 1.0 + 1.2 * math.exp(-epoch) + rng.gauss(0.0, 0.03)
        rows.append({"step": step, "epoch": epoch, "loss": loss, "learning_rate": 2e-5})
        if step % 200 == 0:
            rows.append({"step": step, "epoch": epoch, "eval_loss": 1.1 + math.exp(-epoch)})
    path = tmp_path_factory.mktemp("log") / "trainer_state.json"
    path.write_text(json.dumps({"log_history": rows}), encoding="utf-8")
    return str(path)


@pytest.mark.benchmark(group="help")
def test_import_click(benchmark: Any) -> None:
    """Import the library that the command line is made with."""
    _measure(benchmark, "-c", "import click")


@pytest.mark.benchmark(group="help")
def test_help(benchmark: Any) -> None:
    """Print the help, the search for plugins included."""
    _measure(benchmark, "-c", MAIN, "--help")


@pytest.mark.benchmark(group="analyze")
def test_import_scipy_optimize(benchmark: Any) -> None:
    """Import what a fit by iteration would need."""
    _measure(benchmark, "-c", "import scipy.optimize")


@pytest.mark.benchmark(group="analyze")
def test_analyze_500_points(benchmark: Any, log: str) -> None:
    """Read, fit, advise and draw."""
    _measure(benchmark, "-c", MAIN, "analyze", log)
