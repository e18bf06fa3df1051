"""What a command costs, next to the cheapest program that could do the same.

    pytest benchmarks/test_startup.py --benchmark-json=startup.json
    python benchmarks/ratios.py startup.json

The times are CPU times of child processes, which a busy machine changes less than the clock; that
of the first line of `ftadvise train` is by the clock, and should stay below 0.4 s.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAIN = "import sys; sys.argv[0] = 'ftadvise'; from ftadvise.cli import main; main()"


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


pytestmark = pytest.mark.benchmark(timer=_cpu_of_children)


def _measure(benchmark: Any, *args: str, rounds: int = 15) -> None:
    environment = _environment()
    kwargs = {"env": environment, "check": True, "capture_output": True}
    command = [sys.executable, *args]
    benchmark.pedantic(subprocess.run, (command,), kwargs, rounds=rounds, warmup_rounds=1)


def _environment() -> dict[str, str]:
    roots = [str(ROOT / name) for name in ("advisor", "trainer", "plugins")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(roots), "HF_HUB_OFFLINE": "1"}


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


def _train_until(words: str, folder: Path) -> None:
    """Train the tiny example until it says `words`, and kill it there."""
    options = ["--output-dir", str(folder), "--set", "training.logging_steps=1", "--no-resume"]
    config = str(ROOT / "examples" / "tiny" / "training.yaml")
    command = [sys.executable, "-c", MAIN, "train", config, *options]
    with subprocess.Popen(
        command,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(words):
                break
        else:
            pytest.fail("".join(said))
        process.kill()


@pytest.mark.benchmark(group="train")
def test_import_transformers_trainer(benchmark: Any) -> None:
    """Import what every trainer on transformers needs, and leave at once."""
    code = "import os, torch; from transformers import Trainer; os._exit(0)"
    _measure(benchmark, "-c", code, rounds=5)


@pytest.mark.benchmark(group="train")
def test_first_step(benchmark: Any, tmp_path: Path) -> None:
    """From the command to the end of the tiny example's first step."""
    benchmark.pedantic(_train_until, ("step 1/", tmp_path), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="train", timer=time.perf_counter)
def test_first_line(benchmark: Any, tmp_path: Path) -> None:
    """From the command to the first line on the screen, by the clock."""
    benchmark.pedantic(_train_until, ("ftadvise train", tmp_path), rounds=9, warmup_rounds=1)
