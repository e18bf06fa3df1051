"""What it costs to ask a history of a thousand runs, and to add to it.

    pytest benchmarks/test_history.py --benchmark-json=history.json

No timing is asserted. The runs have 500 train losses, 500 learning rates and 25 eval losses each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ftadvise
from ftadvise import history
from ftadvise.history import Facts
from ftadvise.run import LearningRates, Run, Series, as_floats

RUNS = 1000


def made(seed: int) -> Run:
    """Return a run of five epochs; of ten in a row, all are of one fine-tune."""
    rng = np.random.default_rng(seed)
    steps = 100 + seed % 100
    epoch = np.linspace(0.01, 3.0 + seed % 5, 500)
    loss = (1.0 + np.exp(-epoch)) * (1.0 + 0.03 * rng.standard_normal(500))
    at = (as_floats(np.round(epoch * steps)), as_floats(epoch))
    few = (as_floats(at[0][19::20]), as_floats(at[1][19::20]))
    scored = as_floats((1.1 + np.exp(-few[1])) * (1.0 + 0.006 * rng.standard_normal(25)))
    return Run(
        train=Series("loss", *at, as_floats(loss)),
        eval=Series("eval_loss", *few, scored),
        lr=LearningRates("learning_rate", *at, as_floats(2e-5 * (1.0 - epoch / epoch[-1]))),
        planned_epochs=float(epoch[-1]),
    )


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the history once."""
    path = tmp_path_factory.mktemp("history") / "history.sqlite3"
    names = ("Qwen/Qwen2.5-0.5B", "meta-llama/Llama-3.2-1B", "google/gemma-2-2b")
    for seed in range(RUNS):
        facts = Facts(names[seed % 3], names[seed % 3][:4].lower(), data=str(seed % 100))
        history.add(made(seed), facts, path=path)
    return path


@pytest.mark.benchmark(group="history")
def test_comparable_and_advise(benchmark: Any, full: Path) -> None:
    """Find the past of a new run among a thousand, and advise on it with that past."""
    run = made(RUNS + 7)
    facts = Facts("Qwen/Qwen2.5-0.5B", "qwen", data="7")

    def answer() -> int:
        past = [one.run for one in history.comparable(run, facts=facts, path=full)]
        return ftadvise.advise(run, past=past).num_train_epochs

    assert benchmark.pedantic(answer, rounds=5, warmup_rounds=1) >= 1


@pytest.mark.benchmark(group="history")
def test_comparable(benchmark: Any, full: Path) -> None:
    """Find the past of a new run among a thousand by its curves, with nothing else known."""
    found = benchmark.pedantic(
        history.comparable, (made(RUNS + 7),), {"path": full}, rounds=5, warmup_rounds=1
    )
    assert found[0].same


@pytest.mark.benchmark(group="history")
def test_advise_without_a_past(benchmark: Any) -> None:
    """Advise on the run alone."""
    assert benchmark.pedantic(ftadvise.advise, (made(RUNS + 7),), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="history")
def test_add(benchmark: Any, full: Path) -> None:
    """Add a run to a thousand, on the disk when it returns."""
    seeds = iter(range(2 * RUNS, 3 * RUNS))
    benchmark.pedantic(
        lambda: history.add(made(next(seeds)), path=full), rounds=30, warmup_rounds=1
    )
