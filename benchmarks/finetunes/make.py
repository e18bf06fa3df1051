"""Makes counterfactual fine-tunes: the same fine-tune at several numbers of epochs, many times.

    python benchmarks/finetunes/make.py --data .finetune-data --out families.jsonl.gz --seconds 560

Goes through the groups of plan.py, each architecture pre-trained when its first group begins, and
appends a group's rows when it ends. `--done` (files of an earlier call) skips what is there.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from engine import How, Table
from grouprunner import EVAL_PAIRS, GroupRunner, OutOfTimeError, Row, slots, waiting_runs
from numpy.typing import NDArray
from plan import Base, Group, make_plan, tiny_plan
from pretraining import BATCH, pretrain, windows
from stack import Weights

LENGTHS = (48, 96)  # pairs that are longer are left out
_ANSWER_SHARE = 0.6
_SPARE = 4.0  # seconds to write and leave


class Data:
    """All pairs as one table on the device, and which rows each data set has."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Read pairs.npz."""
        ids: list[NDArray[np.int64]] = []
        cuts: list[NDArray[np.int64]] = []
        self.places: dict[int, dict[str, NDArray[np.int64]]] = {n: {} for n in LENGTHS}
        begin = 0
        with np.load(folder / "pairs.npz") as arrays:
            for name in sorted(n for n in arrays if not n.endswith(".cut")):
                ids.append(arrays[name].astype(np.int64))
                cuts.append(arrays[f"{name}.cut"].astype(np.int64))
                for length, rows in self.places.items():
                    rows[name] = begin + np.flatnonzero(cuts[-1][:, 1] <= length)
                begin += len(ids[-1])
        self.ids, self.cuts = np.concatenate(ids), np.concatenate(cuts)
        self.device = device

    def counts(self) -> dict[int, dict[str, int]]:
        """Return how many training pairs there are for each length and data set."""
        return {
            length: {name: len(rows) - EVAL_PAIRS for name, rows in places.items()}
            for length, places in self.places.items()
        }

    def table(self, group: Group) -> tuple[Table, dict[str, NDArray[np.int64]]]:
        """Return the table of the data sets of a group alone, and their rows in it."""
        names = sorted({family.data_set for family in group.families})
        rows = [self.places[group.length][name] for name in names]
        ends = np.cumsum([len(r) for r in rows])
        kept = np.concatenate(rows)
        places = {
            name: np.arange(end - len(r), end)
            for name, end, r in zip(names, ends, rows, strict=True)
        }
        ids = torch.from_numpy(self.ids[kept]).to(self.device)
        return Table(ids, torch.from_numpy(self.cuts[kept]).to(self.device)), places


def step_seconds(base: Base, models: int, batch: int, length: int, answer: float) -> float:
    """Estimate one step on an H200: matrix products, activations, AdamW and launches."""
    shape = base.shape
    tokens = models * batch * length
    head = models * batch * answer * shape.vocabulary
    flops = 6 * tokens * shape.parameters + 6 * head * shape.width
    weights = shape.parameters + shape.vocabulary * shape.width
    moved = 60 * models * weights + 180 * tokens * shape.layers * shape.width + 26 * head
    return flops / 300e12 + moved / 3.3e12 + 2e-5 * shape.layers + 2e-4


def group_seconds(group: Group) -> float:
    """Estimate a group's time; evaluations cost about a quarter beside the training."""
    epochs = sum(run.epochs for run in waiting_runs(group)) / slots(group) + 1
    steps = epochs * group.examples / group.batch
    answer = _ANSWER_SHARE * group.length
    step = step_seconds(group.base, slots(group), group.batch, group.length, answer)
    pairs = 2 * epochs * EVAL_PAIRS / group.batch / 3
    return 3.0 + (steps + pairs) * step


def pretraining_seconds(base: Base) -> float:
    """Estimate the time of pre-training both variants."""
    length = base.shape.length
    return 2 + base.tokens / (BATCH * length) * step_seconds(base, 2, BATCH, length, length)


class Maker:
    """Keeps the clock, the pre-trained weights and the output of one call."""

    def __init__(self, options: argparse.Namespace, plan: list[Group], data: Data) -> None:
        """Begin the clock."""
        self.options, self.plan, self.data = options, plan, data
        self.deadline: float = time.monotonic() + options.seconds - _SPARE
        self.done = _done([*options.done, options.out])
        self.ratio = 1.0  # measured time over estimated time
        self.base: Base | None = None
        self.weights: list[Weights] = []
        gpu = data.device.type == "cuda"
        dtype = torch.bfloat16 if gpu else torch.float32
        self.how = How(dtype, gpu and not options.no_graph)

    def run(self) -> None:
        """Go through the plan; a group that fails or would not fit is left out."""
        best: Counter[float] = Counter()
        for group in self.plan:
            if group.number < self.options.start or group.families[0].seed in self.done:
                continue
            need = group_seconds(group) * self.ratio
            if group.base is not self.base:
                need += pretraining_seconds(group.base)
            left = self.deadline - time.monotonic()
            if need > left:
                print(
                    f"group {group.number}: {need:.0f} s do not fit into {left:.0f} s", flush=True
                )
                continue
            try:
                rows = self._group(group)
            except OutOfTimeError as ended:
                rows = ended.rows
                print(f"group {group.number}: out of time, {len(rows)} rows kept", flush=True)
            except Exception:  # noqa: BLE001 - the other groups must go on
                traceback.print_exc()
                rows = []
            gc.collect()
            if self.data.device.type == "cuda":
                torch.cuda.empty_cache()
            with gzip.open(self.options.out, "at", encoding="utf-8") as file:
                file.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
            best.update(_best_horizons(rows))
        print("families by best horizon:", dict(sorted(best.items())), best.total(), flush=True)

    def _group(self, group: Group) -> list[Row]:
        if group.base is not self.base:
            pool = np.load(self.options.data / "pool.npy", mmap_mode="r")
            table = windows(np.asarray(pool), group.base.shape.length, self.data.device)
            begin = time.monotonic()
            self.base, self.weights = None, []
            self.weights = pretrain(group.base, table, self.how)
            self.base = group.base
            took, estimate = time.monotonic() - begin, pretraining_seconds(group.base)
            print(f"pre-training: {took:.1f} s, estimate {estimate:.1f} s", flush=True)
        begin = time.monotonic()
        table, places = self.data.table(group)
        runner = GroupRunner(group, self.weights, table, places, self.how)
        rows = runner.run(self.deadline)
        took, estimate = time.monotonic() - begin, group_seconds(group)
        self.ratio = max(0.3, 0.5 * self.ratio + 0.5 * took / estimate)
        print(
            f"group {group.number}: {len(group.families)} families, {slots(group)} slots, "
            f"{group.examples} examples by {group.batch} of {group.length}, rank {group.rank}: "
            f"{took:.1f} s, estimate {estimate:.1f} s; best {dict(_best_horizons(rows))}",
            flush=True,
        )
        return rows


def _done(files: list[Path]) -> set[int]:
    """Return the seeds of the families that the files hold."""
    seeds: set[int] = set()
    for path in files:
        if path.exists():
            with gzip.open(path, "rt", encoding="utf-8") as file:
                seeds |= {json.loads(line)["family"][4] for line in file}
    return seeds


def _best_horizons(rows: list[Row]) -> Counter[float]:
    """Count the families by the horizon that ends with the lowest eval loss."""
    ends: dict[str, dict[float, float]] = {}
    for row in rows:
        if row["wsd"] is None and row["num_train_epochs"] != 12:  # 12: the constant rate
            mine = ends.setdefault(str(row["family"]), {})
            mine[row["num_train_epochs"]] = row["log_history"][-1]["eval_loss"]
    return Counter(min(losses, key=lambda e: losses[e]) for losses in ends.values())


def _list(plan: list[Group]) -> None:
    for g in plan:
        print(
            f"{g.number:>3} {g.base.shape.width}x{g.base.shape.layers} {g.examples:>5} by "
            f"{g.batch:>2} of {g.length} rank {g.rank:>2} dropout {g.dropout} families "
            f"{len(g.families):>2} slots {slots(g):>2} {group_seconds(g):.0f} s"
        )
    groups = sum(map(group_seconds, plan))
    bases = sum(map(pretraining_seconds, {g.base for g in plan}))
    families = sum(len(g.families) for g in plan)
    print(f"{families} families, {groups:.0f} s and {bases:.0f} s for pre-training")


def main() -> None:
    """Run what fits into the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".finetune-data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=560.0)
    parser.add_argument("--start", type=int, default=0, help="first group")
    parser.add_argument("--done", type=Path, nargs="*", default=[])
    parser.add_argument("--no-graph", action="store_true", help="no CUDA graphs, no Triton")
    parser.add_argument("--list", action="store_true", help="print the plan and its estimates")
    parser.add_argument("--tiny", action="store_true", help="one small group, for a CPU")
    options = parser.parse_args()
    data = Data(options.data, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    plan = (tiny_plan if options.tiny else make_plan)(data.counts())
    torch.backends.cuda.enable_cudnn_sdp(False)  # flash attention: no plans to build in a graph
    if options.list:
        _list(plan)
        return
    Maker(options, plan, data).run()


if __name__ == "__main__":
    main()
