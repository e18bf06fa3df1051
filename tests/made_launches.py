"""`ftadvise train --nproc` in processes of its own, signalled or with a process killed, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # accelerate brings it
from forked import PATHS
from tiny_runs import TINY, model_with_dropout

LONGEST = 240.0


@dataclass
class Done:
    """How the command ended and what it said."""

    code: int
    out: str
    err: str


def settings(folder: Path, of: Path | None = None, **training: Any) -> Path:
    """Write the YAML of a run of 3 epochs of 10 steps, into `folder/out`, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    model = str(model_with_dropout(of or folder))
    config = {
        "model": {"config": model, "tokenizer": model},
        "data": {
            "train": str(TINY / "train.jsonl"),
            "eval": str(TINY / "eval.jsonl"),
            "max_length": 128,
        },
        "training": {
            "output_dir": str(folder / "out"),
            "num_train_epochs": 3,
            "per_device_train_batch_size": 3,
            "gradient_accumulation_steps": 2,
            "learning_rate": 3e-3,
            "eval_strategy": "steps",
            "eval_steps": 5,
            "save_steps": 5,
            "logging_steps": 1,
            **training,
        },
    }
    path = folder / "training.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    """Return what the command needs to find the packages, and no GPU."""
    kept = {name: value for name, value in os.environ.items() if name != "RANK"}
    return kept | {
        "PYTHONPATH": os.pathsep.join(PATHS),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "FTADVISE_HISTORY": "off",
        "CUDA_VISIBLE_DEVICES": "",
    }


def launch(
    *arguments: str,
    when: Callable[[], bool] | None = None,
    then: Callable[[int], None] | None = None,
) -> Done:
    """Run `ftadvise train` with these arguments; call `then` with its process id once `when`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ftadvise", "train", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        if when is not None and then is not None:
            end = time.monotonic() + LONGEST
            while process.poll() is None and not when() and time.monotonic() < end:
                time.sleep(0.05)
            then(process.pid)
        out, err = process.communicate(timeout=LONGEST)
    finally:
        process.kill()
    return Done(process.returncode, out, err)


def kill_last_process(launcher: int) -> None:
    """Kill one of the processes that the launcher has started, not the first."""
    max(psutil.Process(launcher).children(), key=lambda child: int(child.pid)).kill()


def terminate(launcher: int) -> None:
    """Send SIGTERM to the launcher alone, as a container's runtime does."""
    os.kill(launcher, signal.SIGTERM)
