"""Time and memory to read long logs, beside pandas in the same run.

    python benchmarks/large_logs.py [--rows 1000000 3000000 10000000] [--pandas-python PYTHON]

Makes logs in the shape of a Trainer that logs every step and evaluates every thousandth, in a
temporary folder, and reads each in a fresh process: by `ftadvise.read`, and, with the interpreter
of an environment that has pandas, by `read_json(lines=True)` as a whole and in chunks. pandas only
parses; ours ends in a `Run`. One document (`trainer_state.json`) is read as well, and the same rows
compressed. Seconds are of processor time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_USAGE = """
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"{used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss / 1024:.0f} {told}")
"""
_OURS = """
import sys
from ftadvise.readers import read
run = read(sys.argv[1])
told = f"{len(run.train):,} train and {len(run.eval):,} eval points"
"""
_WHOLE = """
import sys, pandas
frame = pandas.read_json(sys.argv[1], lines=True)
told = f"{len(frame):,} rows"
"""
_CHUNKS = """
import sys, pandas
count = 0
for frame in pandas.read_json(sys.argv[1], lines=True, chunksize=100_000):
    count += len(frame)
told = f"{count:,} rows, none kept"
"""


def main() -> int:
    """Print the table; return 1 when ours takes more than 400 MB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--pandas-python", default="", help="interpreter that has pandas")
    options = parser.parse_args()
    pandas: str = options.pandas_python
    print(f"{'log':<30}{'MB':>6} {'by':<16}{'CPU s':>8}{'peak MB':>9}  gives")
    most = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            path = Path(folder, "log.jsonl")
            _write_lines(path, rows)
            most = max(most, _measure(path, f"{rows:,} lines", "ftadvise", sys.executable, _OURS))
            if pandas:
                _measure(path, f"{rows:,} lines", "pandas, chunks", pandas, _CHUNKS)
                _measure(path, f"{rows:,} lines", "pandas, whole", pandas, _WHOLE)
            if rows == min(options.rows):
                for other, what in (
                    (_compressed(path), "lines, gzip"),
                    (_state(path), "in a state"),
                ):
                    label = f"{rows:,} {what}"
                    most = max(most, _measure(other, label, "ftadvise", sys.executable, _OURS))
                    other.unlink()
            path.unlink()
    return 1 if most > 400 else 0


def _write_lines(path: Path, rows: int) -> None:
    chance = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for step in range(1, rows + 1):
            loss = 2 * step**-0.1
            row = {
                "loss": round(loss + 0.05 * chance.gauss(0, 1), 4),
                "grad_norm": round(1 + chance.random(), 6),
                "learning_rate": 2e-5 * (1 - step / rows),
                "epoch": round(3 * step / rows, 6),
                "step": step,
            }
            file.write(json.dumps(row) + "\n")
            if step % 1000 == 0:
                held_out = {"eval_loss": round(loss + 0.1, 4), "epoch": row["epoch"], "step": step}
                file.write(json.dumps(held_out) + "\n")


def _compressed(path: Path) -> Path:
    made = path.with_name("log.jsonl.gz")
    with path.open("rb") as source, gzip.open(made, "wb", compresslevel=1) as target:
        while data := source.read(1 << 20):
            target.write(data)
    return made


def _state(path: Path) -> Path:
    """Write the rows of `path` as the history in a `trainer_state.json`."""
    made = path.with_name("trainer_state.json")
    with path.open(encoding="utf-8") as source, made.open("w", encoding="utf-8") as target:
        target.write('{"best_metric": null, "log_history": [\n' + next(source).rstrip())
        for line in source:
            target.write(",\n" + line.rstrip())
        target.write('\n], "max_steps": 0, "num_train_epochs": 3}\n')
    return made


def _measure(path: Path, log: str, by: str, python: str, program: str) -> float:
    """Print one line of the table; return the peak memory in MB, 0 where the process failed."""
    environment = {"PYTHONPATH": str(ROOT / "advisor"), "OMP_NUM_THREADS": "1",
                   "FTADVISE_NO_PLUGINS": "1"}  # fmt: skip
    done = subprocess.run(
        [python, "-c", program + _USAGE, str(path)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    size = path.stat().st_size / 1e6
    seconds, peak, told = "-", "0", f"failed: {done.stderr[-80:]!r}"
    if done.returncode == 0:
        seconds, peak, told = done.stdout.strip().split(" ", 2)
    print(f"{log:<30}{size:>6.0f} {by:<16}{seconds:>8}{peak:>9}  {told}", flush=True)
    return float(peak)


if __name__ == "__main__":
    raise SystemExit(main())
