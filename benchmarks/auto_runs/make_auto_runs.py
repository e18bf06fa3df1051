"""Pre-trains two models and fine-tunes them thirty times, at seven lengths and with `--auto`.

    python benchmarks/auto_runs/auto_texts.py
    python benchmarks/auto_runs/make_auto_runs.py --data .auto-data --out rows.jsonl --seconds 560
    python benchmarks/auto_runs/auto_table.py rows.jsonl

Made for one large GPU, which several processes share. Rows are appended as runs end; a second
call goes on where the first one ended, as long as `--folder` is there.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import auto_plan as plan
import auto_world as world
from auto_plan import EARLIER, HORIZONS, FineTune
from auto_run_one import Row, auto, linear

# The earlier run first, since one more has to wait for it; then the long ones.
ORDER = (EARLIER, *sorted(set(HORIZONS) - {EARLIER}, reverse=True))


def name_of(row: Row) -> tuple[Any, ...]:
    """Return what tells one run from all others."""
    kind = ("auto", row["from"]) if "from" in row else ("linear", row["num_train_epochs"])
    return (row["family"][4], *kind)


class Maker:
    """Hands runs to the processes and writes down what they bring."""

    def __init__(self, options: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
        """Look at what is there."""
        self.pool, self.out, self.data = pool, options.out, options.data
        self.folder: Path = options.folder
        self.end = time.monotonic() + options.seconds
        rows = self.out.read_text().splitlines() if self.out.exists() else []
        self.done = {name_of(json.loads(row)) for row in rows}
        self.waiting: dict[Future[Any], tuple[str, FineTune | None]] = {}

    def pretrain(self, bases: set[plan.Base]) -> None:
        """Pre-train what is missing."""
        missing = [base for base in bases if not (self.folder / base.kind).exists()]
        done = [
            self.pool.submit(world.pretrain, base, self.data, self._place(base))
            for base in missing
        ]
        for base, future in zip(missing, done, strict=True):
            print(future.result(), flush=True)
            (self._place(base) / base.kind).rename(self.folder / base.kind)

    def _place(self, base: plan.Base) -> Path:
        place = self.folder / f"pretraining-{base.kind}"
        shutil.rmtree(place / "unfinished", ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        return place

    def submit(self, chosen: list[FineTune], horizons: tuple[int, ...]) -> None:
        """Hand out all runs that can begin."""
        for one in chosen:
            place = self.place(one)
            world.write_data(one, self.data, place)
            self._submit_from(one)
            for epochs in horizons:
                if (one.seed, "linear", epochs) not in self.done:
                    future = self.pool.submit(linear, one, epochs, place)
                    self.waiting[future] = (f"linear {epochs}", one)
            if (one.seed, "auto", None) not in self.done:
                self.waiting[self.pool.submit(auto, one, place, None)] = ("auto", one)

    def _submit_from(self, one: FineTune) -> None:
        log = self.place(one) / f"linear-{EARLIER}" / "trainer_state.json"
        if log.exists() and (one.seed, "auto", log.parent.name) not in self.done:
            future = self.pool.submit(auto, one, self.place(one), log)
            self.waiting[future] = ("auto from", one)

    def place(self, one: FineTune) -> Path:
        """Return the folder of a fine-tune."""
        return self.folder / f"{one.seed:03d}-{one.data_set}-{one.examples}"

    def collect(self) -> None:
        """Write rows as runs end, until all have or the time has."""
        while self.waiting and (left := self.end - time.monotonic()) > 0:
            ended, _ = wait(self.waiting, timeout=left, return_when=FIRST_COMPLETED)
            for future in ended:
                kind, one = self.waiting.pop(future)
                self._ended(kind, one, future)
        print(f"{len(self.waiting)} runs are left", flush=True)

    def _ended(self, kind: str, one: FineTune | None, future: Future[Row]) -> None:
        assert one is not None
        try:
            row = future.result()
        except Exception:  # noqa: BLE001 - the other runs must go on
            print(f"{one}: {kind}", flush=True)
            traceback.print_exc()
            return
        with self.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
        losses = [r["eval_loss"] for r in row["log_history"] if "eval_loss" in r]
        print(
            f"{one.data_set:8s}{one.examples:5d} {one.rate:g} {one.base.kind:6s}{kind:10s}"
            f"{row['num_train_epochs']:6.2f} epochs, best {min(losses):.4f}, {row['seconds']} s",
            flush=True,
        )
        if kind == f"linear {EARLIER}":
            self._submit_from(one)


def main() -> None:
    """Run what fits into the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".auto-data"))
    parser.add_argument("--folder", type=Path, default=Path("/tmp/auto-runs"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--horizons", type=int, nargs="*", default=ORDER, help="linear decays")
    parser.add_argument("--tiny", action="store_true", help="two small fine-tunes, on a CPU")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    chosen = plan.tiny() if options.tiny else plan.fine_tunes()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(options.processes, mp_context=context)
    maker = Maker(options, pool)
    maker.pretrain({one.base for one in chosen})
    maker.submit(chosen, tuple(options.horizons) if not options.tiny else (3, 2, 1))
    maker.collect()
    for process in multiprocessing.active_children():  # those that are in a run when time is up
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)


if __name__ == "__main__":
    main()
