"""Two gloo processes give the numbers of one, and agree on when to break off, fail and stop."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("two_processes.py")
PATHS = [str(ROOT / name) for name in ("advisor", "trainer", "plugins", "tests")]


def script() -> Any:
    """The script as a module of this process."""
    spec = importlib.util.spec_from_file_location("two_processes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes saw."""
    folder = tmp_path_factory.mktemp("ranks")
    common = os.environ | {
        "PYTHONPATH": os.pathsep.join(PATHS),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder)],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        told = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, text in zip(processes, told, strict=True):
        assert process.returncode == 0, text[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def test_training_gives_the_losses_and_weights_of_one_process(
    ranks: list[dict[str, Any]], tmp_path: Path
) -> None:
    two_processes = script()

    alone = two_processes.trained(tmp_path, per_device_train_batch_size=4)
    assert len(alone["losses"]) == 6
    for found in ranks:
        assert found["trained"]["losses"] == pytest.approx(alone["losses"], abs=1e-6)
        assert found["trained"]["weights"].keys() == alone["weights"].keys()
        for name, numbers in found["trained"]["weights"].items():
            assert numbers == pytest.approx(alone["weights"][name], abs=1e-6), name


@pytest.mark.parametrize("which", ["evaluated", "uneven"])
def test_the_eval_loss_counts_no_row_twice(
    ranks: list[dict[str, Any]], tmp_path: Path, which: str
) -> None:
    two_processes = script()

    for found in ranks:
        for rows, size, metrics in found[which]:
            alone = two_processes.evaluated(tmp_path, rows, size)
            assert metrics["eval_tokens"] == alone["eval_tokens"], (rows, size)
            assert metrics["eval_loss"] == pytest.approx(alone["eval_loss"], abs=1e-6)


def test_one_interrupted_process_breaks_the_evaluation_off_for_all(
    ranks: list[dict[str, Any]],
) -> None:
    polls = [found["interrupted"]["polls"] for found in ranks]
    assert polls[0] == polls[1]
    assert 3 <= polls[0] <= 5
    for found in ranks:
        assert found["interrupted"]["metrics"]["eval_interrupted"] == 1.0
        assert "eval_loss" not in found["interrupted"]["metrics"]


def test_a_loss_that_is_infinite_on_one_process_stops_all_with_one_message(
    ranks: list[dict[str, Any]],
) -> None:
    messages = {found["poisoned"]["message"] for found in ranks}
    assert len(messages) == 1
    assert messages.pop().startswith("step 3: loss not finite (micro-batch 1 of 1 has loss inf")
    for found in ranks:
        assert len(found["poisoned"]["losses"]) == 2
        assert found["poisoned"]["finite"]


def test_all_processes_stop_at_the_same_step(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["stopped"] == ranks[1]["stopped"]
    assert ranks[0]["stopped"]["reason"]["epoch"] == 3.0
