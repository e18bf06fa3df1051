"""Two gloo processes of one training, for tests."""

from __future__ import annotations

import importlib.util
import json
import socket
import time
from pathlib import Path
from typing import Any

from forked import fork_server, run_script

LONGEST = 240.0


def run_ranks(script: Path, folder: Path, *arguments: str) -> None:
    """Run a script with `folder` as its first argument in two processes that meet, to its good end.

    Args:
        script: Path of the script.
        folder: Where it works; what the processes say goes to `rank-N.said` in it.
        *arguments: More of them.
    """
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": "2",
    }
    said = [folder / f"rank-{rank}.said" for rank in range(2)]
    processes = [
        fork_server().Process(
            target=run_script,
            args=(
                str(script),
                [str(folder), *arguments],
                str(said[rank]),
                common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            ),
        )
        for rank in range(2)
    ]
    end = time.monotonic() + LONGEST
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join(max(end - time.monotonic(), 0.0))
    finally:
        for process in processes:
            process.kill()
    for process, path in zip(processes, said, strict=True):
        process.join()
        assert process.exitcode == 0, path.read_text(errors="replace")[-3000:]


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
