"""Kills writers of one history at random moments, and says what was lost.

    python tests/history/killed_writers.py FILE --kills 200 --seed 0

Two writers at a time add runs as fast as they can and tell each id as soon as `add` has returned;
one or both are killed (SIGKILL) after a random time. Then every run that was told has to be there,
point by point, the file has to be sound for SQLite, and no writer may have met an error.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ftadvise import history
from ftadvise.history.points import content_of
from ftadvise.run import Run, Series, Source, as_floats


@dataclass
class Report:
    """What came of it; `lost`, `damaged`, `errors` and `unsound` should be empty."""

    kills: int = 0
    told: int = 0
    rows: int = 0
    lost: list[str] = field(default_factory=list[str])
    damaged: list[int] = field(default_factory=list[int])
    errors: list[str] = field(default_factory=list[str])
    unsound: list[str] = field(default_factory=list[str])


def made(seed: int) -> Run:
    """Return the run of this number, the same each time it is asked for."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 2000))
    epoch = np.linspace(0.01, 5.0, size)
    train = Series(
        "loss", as_floats(epoch * 100), as_floats(epoch), as_floats(rng.normal(size=size))
    )
    evals = Series("eval_loss", *(as_floats(values[::20]) for values in (epoch, epoch, epoch)))
    return Run(train=train, eval=evals, source=Source(path=f"run {seed}"))


def write_on(path: Path, first: int, pipe: int) -> None:
    """Add one run after the other until killed; tell each one that is in."""
    number = first
    while True:
        history.add(made(number), path=path)
        os.write(pipe, f"{number}\n".encode())
        number += 1


def writer(path: Path, first: int) -> tuple[int, int]:
    """Start a writer; return its process and the pipe it tells on."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        write_on(path, first, writing)
    except Exception:  # noqa: BLE001 - told like all else: nobody sees what a child raises
        os.write(writing, b"error " + json.dumps(traceback.format_exc()).encode() + b"\n")
    finally:
        os._exit(1)


def seconds_to_add(path: Path) -> float:
    """Return what one run takes on this machine as it is now, by the slowest of three."""
    spent: list[float] = []
    for number in range(3):
        began = time.monotonic()
        history.add(made(number), path=path)
        spent.append(time.monotonic() - began)
    return max(spent)


def told(pipe: int) -> list[str]:
    """Return the lines that a writer told, a last one that was cut short left out."""
    said = b""
    while part := os.read(pipe, 65536):
        said += part
    os.close(pipe)
    return said.decode().split("\n")[:-1]


def torture(path: Path, kills: int, seed: int) -> Report:
    """Kill writers so many times, one or two of two at once."""
    rng, report, numbers = random.Random(seed), Report(), []
    pace = seconds_to_add(path.with_name("pace.sqlite3"))
    started = 0
    while report.kills < kills:
        writers = []
        for _ in range(2):
            writers.append(writer(path, started * 100_000))
            started += 1
        rng.shuffle(writers)
        for child, pipe in writers:
            # From before the file is there to well into its life; the other goes on writing.
            time.sleep(rng.expovariate(1 / (4 * pace)))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            report.kills += 1
            lines = told(pipe)
            report.errors += [line for line in lines if line.startswith("error ")]
            numbers += [int(line) for line in lines if not line.startswith("error ")]
        report.unsound += unsound(path)
    report.told = len(numbers)
    compare(path, numbers, report)
    return report


def unsound(path: Path) -> list[str]:
    """Return what SQLite finds wrong with the file."""
    if not path.exists():
        return []
    db = sqlite3.connect(path)
    found = [row[0] for row in db.execute("PRAGMA integrity_check")]
    db.close()
    return [line for line in found if line != "ok"]


def compare(path: Path, numbers: list[int], report: Report) -> None:
    """Look for every run that was told, and at every point of those that are there."""
    entries = {Path(e.source.path).name: e for e in history.runs(path=path)}
    report.rows = len(entries)
    report.lost = [str(n) for n in numbers if f"run {n}" not in entries]
    for name, entry in entries.items():
        number = int(name.removeprefix("run "))
        back = history.load(entry.id, path=path)
        if content_of(back) != content_of(made(number)):
            report.damaged.append(entry.id)


def main() -> None:
    """Print the report as JSON; exit with 1 when something was lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    report = torture(given.file, given.kills, given.seed)
    sys.stdout.write(f"{json.dumps(vars(report))}\n")
    bad = report.lost or report.damaged or report.errors or report.unsound
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
