"""Two gloo processes of one training, for tests."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PATHS = [str(ROOT / name) for name in ("advisor", "trainer", "plugins", "tests")]


def run_ranks(script: Path, folder: Path) -> None:
    """Run a script with `folder` as its argument in two processes that meet, to its good end."""
    common = os.environ | {
        "PYTHONPATH": os.pathsep.join(PATHS),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, text in zip(processes, said, strict=True):
        assert process.returncode == 0, text[-3000:]


def seen_by_ranks(script: Path, folder: Path) -> list[dict[str, Any]]:
    """Run a script as `run_ranks` does; return what each process has left in `rankN.json`."""
    run_ranks(script, folder)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def module_of(script: Path) -> Any:
    """Return a script as a module of this process."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
