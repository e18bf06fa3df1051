"""Reads a million scalars from a TensorBoard event file, with our reader and with TensorBoard's.

    python benchmarks/event_files.py [--scalars N] [--rounds N]

Needs tensorboard, and tensorboardX, which writes the file. Each reading has a process of its own;
the two take turns, and the medians of the processor time and of the peak memory are compared.
TensorBoard reads all scalars here; left to itself it keeps 10,000 of each name.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

_MEASURED = """
import resource, sys, time
{imports}
began = time.process_time()
count = {read}
spent = time.process_time() - began
print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, count)
"""
OURS = _MEASURED.format(
    imports="from pathlib import Path\n"
    "from ftadvise.readers.source import Source\n"
    "from ftadvise_plugins.tensorboard.reader import READER",
    read="sum(len(r.train) + len(r.eval) + len(r.lr) for r in READER.read(Source(Path(sys.argv[1]))))",
)
THEIRS = _MEASURED.format(
    imports="from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
    "def read():\n"
    "    log = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})\n"
    "    log.Reload()\n"
    "    return sum(len(log.Scalars(tag)) for tag in log.Tags()['scalars'])",
    read="read()",
)
TAGS = ("train/loss", "eval/loss", "train/learning_rate", "train/epoch")


def main() -> None:
    """Write the file, read it in turns and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scalars", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), options.scalars)
        print(f"{options.scalars:,} scalars, {path.stat().st_size / 1e6:.0f} MB")
        found: dict[str, list[tuple[float, float, int]]] = {"ours": [], "theirs": []}
        for _ in range(options.rounds):
            found["ours"].append(measured(OURS, path))
            found["theirs"].append(measured(THEIRS, path))
    median: dict[str, float] = {}
    for name, rounds in found.items():
        median[name] = statistics.median(seconds for seconds, _, _ in rounds)
        memory = statistics.median(peak for _, peak, _ in rounds)
        print(f"{name}: {median[name]:.2f} s, peak {memory:.0f} MiB, {rounds[0][2]:,} points")
    print(f"ratio: {median['ours'] / median['theirs']:.3f}")


def write(folder: Path, scalars: int) -> Path:
    """Return an event file with that many scalars under four names."""
    with import_module("tensorboardX").SummaryWriter(str(folder)) as writer:
        for place in range(scalars):
            step = place // len(TAGS) + 1
            value = {0: 3 * math.exp(-place / scalars), 3: step / 1000}.get(place % 4, 1e-4)
            writer.add_scalar(TAGS[place % len(TAGS)], value, step)
    return next(folder.iterdir())


def measured(script: str, path: Path) -> tuple[float, float, int]:
    """Return seconds of processor time, peak memory in MiB and points of one reading.

    Of ours the epochs are no points of their own: they become the times of the others.
    """
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    seconds, peak, count = done.stdout.split()
    return float(seconds), float(peak), int(count)


if __name__ == "__main__":
    main()
