"""Of two processes the first decides, and both stop or decay at the same step."""

from __future__ import annotations

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
SCRIPT = Path(__file__).with_name("two_advised_processes.py")
PATHS = [str(ROOT / name) for name in ("advisor", "trainer", "plugins", "tests")]
LAST = 16  # steps


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes did."""
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
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(said)
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize(
    ("case", "step"),
    [("first wants", 5), ("second wants", LAST), ("second fails", 7), ("first fails", LAST)],
)
def test_both_stop_where_the_first_wants_to(
    case: str, step: int, ranks: list[dict[str, Any]]
) -> None:
    expected = {"step": step, "stopped": step < LAST}
    assert [rank[case] for rank in ranks] == [expected, expected]


@pytest.mark.parametrize(("case", "start"), [("first anneals", 6), ("second anneals", None)])
def test_both_begin_the_decay_where_the_first_wants_to(
    case: str, start: int | None, ranks: list[dict[str, Any]]
) -> None:
    expected = {"step": LAST if start is None else start + 2, "start": start}
    assert [rank[case] for rank in ranks] == [expected, expected]
