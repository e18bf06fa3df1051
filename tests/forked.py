"""Processes that begin with torch and transformers loaded, which takes others five seconds each.

They come from a fork server that has imported the trainer and done nothing else: a fork of the test
process itself, whose torch may have started threads, can hang.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATHS = [str(ROOT / name) for name in ("advisor", "trainer", "plugins", "tests")]


def fork_server() -> ForkServerContext:
    """Return the context that starts such processes."""
    context = multiprocessing.get_context("forkserver")
    # By their installed names: the fork server does not have the paths that pytest has added, and
    # passes over what it cannot import.
    context.set_forkserver_preload(["ftadvise_trainer.training", "ftadvise_plugins"])
    return context


def begin(said: str, environment: Mapping[str, str]) -> None:
    """Make this process one that was started from a shell; what it says goes to the file `said`."""
    os.environ.update(environment)
    sink = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    # A child of a fork server asks it for its own children too. Such workers import torch and
    # transformers each, seconds apiece, and outlive a parent that is killed, since torch has them
    # watch the process that forked them. A training is started from a shell, where they fork.
    multiprocessing.set_start_method("fork", force=True)


def run_script(path: str, arguments: list[str], said: str, environment: Mapping[str, str]) -> None:
    """Run a script as `python PATH ARGUMENTS` does."""
    begin(said, environment)
    sys.path[:0] = PATHS
    sys.argv = [path, *arguments]
    runpy.run_path(path, run_name="__main__")
